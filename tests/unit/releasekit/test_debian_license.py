from __future__ import annotations

import pytest

from releasekit.debian_license import expression
from releasekit.read_licenses import READ, key

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
        ("OpenLDAP-2.8", "OLDAP-2.8"),
        ("GPL-2+ and Expat", "GPL-2.0-or-later AND MIT"),
    ],
)
def test_a_machine_readable_licence_is_put_into_the_words_of_spdx(said: str, expected: str) -> None:
    assert expression(HEAD + stanza(said)) == expected


def test_every_stanza_of_files_counts_and_a_text_alone_does_not() -> None:
    text = HEAD + stanza("Expat") + stanza("ISC", "b/*") + stanza("Expat", "c/*")
    assert expression(f"{text}License: GPL-2\n the text\n") == "MIT AND ISC"


def test_of_an_older_form_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        "It is free.\nSee `/usr/share/common-licenses/LGPL-2.1' and /usr/share/common-licenses/GPL-2.\n",
        "Python is under the Python Software Foundation License; see /usr/share/common-licenses/GPL-2.",
        "Permission is hereby granted, free of charge, to any person",
        "Nothing is said.",
    ):
        assert expression(text) == "LicenseRef-unstated"
        monkeypatch.setitem(READ, key([text]), "GPL-2.0-only AND LGPL-2.1-only")
        assert expression(text) == "GPL-2.0-only AND LGPL-2.1-only", "somebody has read it"
