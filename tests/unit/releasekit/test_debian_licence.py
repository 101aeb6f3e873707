from __future__ import annotations

import pytest

from releasekit.debian_licence import expression

HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"


def stanza(said: str, files: str = "*") -> str:
    return f"Files: {files}\nCopyright: 2026 A. Author\nLicense: {said}\n\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Expat", "MIT"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("GPL-3+ with Autoconf exception", "GPL-3.0-or-later"),
        ("Artistic or GPL-1+", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("BSD-3-clause and Expat", "BSD-3-Clause AND MIT"),
        ("GPL-2 or Expat, and ISC", "(GPL-2.0-only OR MIT) AND ISC"),
        ("GPL-2 and ISC or Expat", "(GPL-2.0-only AND ISC) OR MIT"),
        ("PostgreSQL", "PostgreSQL"),
        ("Own words", "LicenseRef-debian-Own-words"),
    ],
)
def test_a_machine_readable_licence_is_put_into_the_words_of_spdx(said: str, expected: str) -> None:
    assert expression(HEAD + stanza(said)) == expected


def test_every_stanza_of_files_counts_and_a_text_alone_does_not() -> None:
    text = HEAD + stanza("Expat") + stanza("ISC", "b/*") + stanza("Expat", "c/*")
    assert expression(f"{text}License: GPL-2\n the text\n") == "MIT AND ISC"


def test_an_older_form_names_the_common_licences_that_it_points_to() -> None:
    text = "It is free.\nSee `/usr/share/common-licenses/LGPL-2.1' and /usr/share/common-licenses/GPL-2.\n"
    assert expression(text) == "GPL-2.0-only AND LGPL-2.1-only"
    python = "Python is under the Python Software Foundation License; the packaging is under GPL-2,"
    said = f"{python} see /usr/share/common-licenses/GPL-2.\n"
    assert expression(said) == "Python-2.0", (
        "the licence of the work comes before what is pointed to"
    )
    assert expression("Permission is hereby granted, free of charge, to any person") == "MIT"
    assert expression("Nothing is said.") == "LicenseRef-unstated"
