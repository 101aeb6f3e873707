from __future__ import annotations

import pytest

from releasekit.model import UNKNOWN
from releasekit.read_licenses import READ, key, of_texts
from releasekit.spdx import ALIASES, join, normal, parsed, terms


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
        ("GPL-3.0+", "GPL-3.0-or-later"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-3.0-or-later WITH GCC-exception-3.1"),
        ("Proprietary", "LicenseRef-proprietary"),
        ("UNKNOWN", UNKNOWN),
        ("", UNKNOWN),
        ("see LICENSE", UNKNOWN),
        # What does not say which is not guessed.
        ("BSD", UNKNOWN),
        ("Apache Software License", UNKNOWN),
        ("GNU Lesser General Public License", UNKNOWN),
        ("MIT AND", UNKNOWN),
    ],
)
def test_what_people_write_becomes_spdx(said: str, expression: str) -> None:
    assert normal(said) == expression


def test_tables_lead_to_known_identifiers() -> None:
    for expression in (*ALIASES.values(), *READ.values()):
        words = [word for term in terms(expression) for word in term.split(" OR ")]
        assert [w for w in words if not w.startswith("LicenseRef-") and parsed(w) != w] == []


def test_expressions_split_at_their_outermost_and() -> None:
    assert terms("A AND (B OR C) AND (D AND E OR F)") == ["A", "B OR C", "(D AND E) OR F"]
    assert terms("MIT") == ["MIT"]


def test_join_names_each_term_once_after_the_first() -> None:
    joined = join(["MIT OR ISC", "Zlib AND MIT", "MIT"], first="LGPL-3.0-only")
    assert joined == "LGPL-3.0-only AND (MIT OR ISC) AND Zlib AND MIT"
    assert terms(joined) == ["LGPL-3.0-only", "MIT OR ISC", "Zlib", "MIT"]


def test_join_leaves_the_unknown_out_unless_nothing_is_known() -> None:
    assert join([UNKNOWN, "MIT"]) == "MIT"
    assert join([UNKNOWN]) == UNKNOWN


def test_a_text_is_known_only_as_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lesser = "It is under the GNU Lesser General Public\n License, version 2.1 or later."
    assert of_texts([lesser]) == UNKNOWN, "which of them is nothing to guess"
    monkeypatch.setitem(READ, key([lesser]), "LGPL-2.1-or-later")
    assert of_texts([" ".join(lesser.split())]) == "LGPL-2.1-or-later"
    assert of_texts([lesser, "And more."]) == of_texts([]) == UNKNOWN
