"""Licences in the words of SPDX, from the many ways in which software states its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNKNOWN = "LicenseRef-unstated"

# Every identifier that may appear in a package; tests hold the artefacts to this list.
IDENTIFIERS = frozenset(
    (
        "0BSD",
        "Apache-2.0",
        "Artistic-2.0",
        "BlueOak-1.0.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "bzip2-1.0.6",
        "CC0-1.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "curl",
        "GFDL-1.3-or-later",
        "GPL-1.0-or-later",
        "GPL-2.0-only",
        "GPL-2.0-or-later",
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "HPND",
        "ISC",
        "LGPL-2.0-only",
        "LGPL-2.0-or-later",
        "LGPL-2.1-only",
        "LGPL-2.1-or-later",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
        "MIT",
        "MIT-0",
        "MPL-1.1",
        "MPL-2.0",
        "OLDAP-2.8",
        "OpenSSL",
        "PSF-2.0",
        "PostgreSQL",
        "Python-2.0",
        "Unicode-3.0",
        "Unlicense",
        "X11",
        "Zlib",
        "ZPL-2.1",
        "LicenseRef-proprietary",
        "LicenseRef-public-domain",
        "LicenseRef-unstated",
    )
)

EXCEPTIONS = frozenset(("GCC-exception-3.1",))  # what may stand after WITH

# Free-text `License:` fields and classifiers that wheels use, in lower case.
ALIASES = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apachev2": "Apache-2.0",
    "asl 2": "Apache-2.0",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "lgplv3": "LGPL-3.0-only",
    "lgplv3+": "LGPL-3.0-or-later",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "gnu library or lesser general public license (lgpl)": "LGPL-2.1-or-later",
    "the mit": "MIT",
    "the mit license (mit)": "MIT",
    "expat": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl 2.0": "MPL-2.0",
    "mplv2.0": "MPL-2.0",
    "python software foundation": "PSF-2.0",
    "psf": "PSF-2.0",
    "proprietary": "LicenseRef-proprietary",
    "public domain": "LicenseRef-public-domain",
    "the unlicense (unlicense)": "Unlicense",
    "zope public": "ZPL-2.1",
}

# Names under which a Debian copyright file knows what SPDX spells otherwise, in lower case.
DEBIAN = {
    "expat": "MIT",
    "gpl-2": "GPL-2.0-only",
    "gpl-2+": "GPL-2.0-or-later",
    "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only",
    "gpl-3+": "GPL-3.0-or-later",
    "lgpl-2": "LGPL-2.0-only",
    "lgpl-2+": "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3+": "LGPL-3.0-or-later",
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc": "ISC",
    "zlib": "Zlib",
    "0bsd": "0BSD",
    "openldap-2.8": "OLDAP-2.8",
    "postgresql": "PostgreSQL",
    "bzip2": "bzip2-1.0.6",
    "bsd-variant": "bzip2-1.0.6",
    "public-domain": "LicenseRef-public-domain",
}

# Words that tell the licence of a Debian copyright file of the old form, wherever they stand.
_DEBIAN_TEXTS = (
    ("gcc runtime library exception", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("python software foundation license", "Python-2.0"),
)

# Words that tell a licence by its text; the first that fits counts.
_TEXTS = (
    ("apache license", "Apache-2.0"),
    ("mozilla public license", "MPL-2.0"),
    ("gnu lesser general public license", "LGPL-3.0-only"),
    ("gnu general public license version 3", "GPL-3.0-only"),
    ("permission is hereby granted, free of charge", "MIT"),
    ("permission to use, copy, modify, and/or distribute", "ISC"),
    ("neither the name of", "BSD-3-Clause"),
    ("may not be used to endorse or promote products", "BSD-3-Clause"),
    ("redistributions in binary form", "BSD-2-Clause"),
    ("python software foundation license version 2", "PSF-2.0"),
)

_BY_CASE = {identifier.lower(): identifier for identifier in IDENTIFIERS}
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


def normal(said: str) -> str:
    """An SPDX expression for what a distribution says, UNKNOWN where none is recognised.

    Of a field that holds a whole licence text only its first line counts.
    """
    lines = said.strip().splitlines()
    plain = " ".join(lines[0].split()).rstrip(".") if lines else ""
    for text in (plain, re.sub(r"(?i) licen[cs]e$", "", plain)):
        found = ALIASES.get(text.lower()) or _expression(text)
        if found:
            return found
    return UNKNOWN


def _expression(text: str) -> str:
    words = []
    for token in _TOKEN.findall(text):
        word = token if token in ("(", ")", "AND", "OR") else _BY_CASE.get(token.lower())
        if word is None:
            return ""
        words.append(word)
    return " ".join(words).replace("( ", "(").replace(" )", ")")


def of_text(text: str) -> str:
    """The licence whose text this is, UNKNOWN where none is recognised."""
    head = " ".join(text.split())[:4000].lower()
    return next((licence for words, licence in _TEXTS if words in head), UNKNOWN)


def of_texts(texts: Iterable[str]) -> str:
    """All licences whose texts are among these."""
    return join(of_text(text) for text in texts)


def of_debian(text: str) -> str:
    """The licences that a Debian copyright file names."""
    said = re.findall(r"^License:[ \t]*(\S[^\n]*)$", text, re.MULTILINE)
    words = {
        word.lower() for line in said for word in re.split(r"\s+(?:and|or|with)\s+|,\s*", line)
    }
    found = join(sorted(DEBIAN[word.strip()] for word in words if word.strip() in DEBIAN))
    if found != UNKNOWN:
        return found
    plain = " ".join(text.split()).lower()
    old = (licence for words, licence in _DEBIAN_TEXTS if words in plain)
    return next(old, of_text(text))


def terms(expression: str) -> list[str]:
    """What an expression joins by AND, outermost only: `A AND (B OR C)` -> [`A`, `B OR C`]."""
    found: list[list[str]] = [[]]
    depth = 0
    for token in _TOKEN.findall(expression):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == "AND" and not depth:
            found.append([])
        else:
            found[-1].append(token)
    plain = [" ".join(words).replace("( ", "(").replace(" )", ")") for words in found if words]
    return [re.sub(r"^\(([^()]*)\)$", r"\1", term) for term in plain]


def join(expressions: Iterable[str], *, first: str = "") -> str:
    """One expression over all, each term once in the order given after `first`.

    What is UNKNOWN is left out unless nothing else is left.
    """
    found = dict.fromkeys([first] if first else [])
    for expression in expressions:
        found.update(dict.fromkeys(terms(expression)))
    known = [term for term in found if term != UNKNOWN] or [UNKNOWN]
    if len(known) == 1:
        return known[0]
    return " AND ".join(f"({term})" if " OR " in term else term for term in known)
