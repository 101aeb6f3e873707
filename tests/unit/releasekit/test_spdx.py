from __future__ import annotations

import pytest

from releasekit.spdx import (
    ALIASES,
    DEBIAN,
    IDENTIFIERS,
    UNKNOWN,
    join,
    normal,
    of_debian,
    of_texts,
    terms,
)


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ("MIT", "MIT"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("Apache-2.0 license", "Apache-2.0"),
        ("MPLv2.0", "MPL-2.0"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", "MPL-2.0 AND (Apache-2.0 OR MIT)"),
        ("BSD 3-Clause License\n  \n  Copyright (c) someone", "BSD-3-Clause"),
        ("Proprietary", "LicenseRef-proprietary"),
        ("UNKNOWN", UNKNOWN),
        ("", UNKNOWN),
        ("see LICENSE", UNKNOWN),
    ],
)
def test_what_people_write_becomes_spdx(said: str, expression: str) -> None:
    assert normal(said) == expression


def test_tables_lead_to_known_identifiers() -> None:
    assert {*ALIASES.values(), *DEBIAN.values()} <= IDENTIFIERS


def test_expressions_split_at_their_outermost_and() -> None:
    assert terms("A AND (B OR C) AND (D AND E OR F)") == ["A", "B OR C", "D AND E OR F"]
    assert terms("MIT") == ["MIT"]


def test_join_names_each_term_once_after_the_first() -> None:
    joined = join(["MIT OR ISC", "Zlib AND MIT", "MIT"], first="LGPL-3.0-only")
    assert joined == "LGPL-3.0-only AND (MIT OR ISC) AND Zlib AND MIT"
    assert terms(joined) == ["LGPL-3.0-only", "MIT OR ISC", "Zlib", "MIT"]


def test_join_leaves_the_unknown_out_unless_nothing_is_known() -> None:
    assert join([UNKNOWN, "MIT"]) == "MIT"
    assert join([UNKNOWN]) == UNKNOWN


def test_texts_tell_their_licence() -> None:
    mit = "Permission is hereby granted, free of charge, to any person"
    assert of_texts([mit, "Apache License\n Version 2.0", "nothing"]) == "MIT AND Apache-2.0"
    assert of_texts([]) == UNKNOWN


def test_debian_copyright_files_of_the_new_and_old_form() -> None:
    assert of_debian("Files: *\nLicense: GPL-2+ and Expat\n\nLicense: odd\n") == (
        "GPL-2.0-or-later AND MIT"
    )
    assert of_debian("License: GPL-2.0+\nLicense: PostgreSQL\nLicense: OpenLDAP-2.8\n") == (
        "GPL-2.0-or-later AND OLDAP-2.8 AND PostgreSQL"
    )
    old = f"{'Packaged by someone. ' * 400} under the GCC Runtime\n Library Exception"
    assert of_debian(old) == "GPL-3.0-or-later WITH GCC-exception-3.1"
