"""The SPDX expression for a Debian copyright file.

A machine-readable one (DEP-5) is read stanza by stanza: what it names and SPDX does not know becomes
`LicenseRef-debian-NAME`, so nothing it says is lost. Exceptions (`with ...`) are left out, which is the
stricter reading. Of an older form nothing is guessed: it is known if somebody has read it.
"""

from __future__ import annotations

import re

from releasekit import spdx
from releasekit.deb822 import paragraphs
from releasekit.read_licenses import of_texts

_GNU = re.compile(r"(l?gpl|gfdl|agpl)-?v?(\d)(?:\.(\d))?(?:\.0)?(\+)?")
# Short names of copyright files, in lower case, that SPDX spells otherwise.
_NAMES = {
    "apache-2": "Apache-2.0",
    "apache-2-llvm-exceptions": "Apache-2.0 WITH LLVM-exception",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "boost-1.0": "BSL-1.0",
    "bsd-3": "BSD-3-Clause",
    "bzip2": "bzip2-1.0.6",
    "cc0": "CC0-1.0",
    "expat": "MIT",
    "gpl": "GPL-1.0-or-later",
    "lgpl": "LGPL-2.0-or-later",
    "mit/x11": "MIT",
    "mit/x": "MIT",
    "openldap-2.8": "OLDAP-2.8",
    "psf": "PSF-2.0",
    "public-domain": "LicenseRef-public-domain",
}


def expression(text: str) -> str:
    """The expression over all that the file covers."""
    head = text.lstrip()[:400].lower()
    said = []
    if "format" in head and "copyright" in head:
        for fields in paragraphs(text):
            name = fields.get("License", "").partition("\n")[0]
            said += [_either(name)] if name and "Files" in fields else []
    return spdx.join(said) if said else of_texts((text,))


def _either(words: str) -> str:
    """`A or B, and C` of DEP-5 in the words of SPDX: a comma binds least, then `or`, then `and`."""
    groups = re.split(r",\s+and\s+|,\s+(?!or\b)", words.strip().rstrip(","))
    made = []
    for group in groups:
        choices = [
            spdx.join(_name(word) for word in re.split(r"\s+and\s+", choice))
            for choice in re.split(r",?\s+or\s+", group)
        ]
        distinct = list(dict.fromkeys(choices))
        made.append(
            " OR ".join(f"({one})" if " AND " in one else one for one in distinct)
            if len(distinct) > 1
            else distinct[0]
        )
    return spdx.join(made)


def _name(word: str) -> str:
    """One short name."""
    plain = re.split(r"\s+with\s+", word.strip().lower())[0].strip(" ().'`")
    gnu = _GNU.fullmatch(plain)
    if gnu:
        family, major, minor, later = gnu.groups()
        return f"{family.upper()}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
    known = _NAMES.get(plain) or spdx.parsed(plain)
    return known or f"LicenseRef-debian-{re.sub(r'[^A-Za-z0-9.]+', '-', word.strip()).strip('-')}"
