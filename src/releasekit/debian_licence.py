"""The SPDX expression for a Debian copyright file.

A machine-readable one (DEP-5) is read stanza by stanza: what it names and SPDX does not know becomes
`LicenseRef-debian-NAME`, so nothing it says is lost. Exceptions (`with ...`) are left out, which is the
stricter reading. An older form is read by releasekit.spdx; where that finds nothing, the common
licences that it points to count.
"""

from __future__ import annotations

import re

from releasekit import spdx

_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-[0-9.]+)?)")
_GNU = re.compile(r"(l?gpl|gfdl|agpl)-?v?(\d)(?:\.(\d))?(?:\.0)?(\+)?")
# Short names of copyright files, in lower case, beside those of releasekit.spdx.
_NAMES = {
    "apache-2": "Apache-2.0",
    "apache-2-llvm-exceptions": "Apache-2.0 WITH LLVM-exception",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "boost-1.0": "BSL-1.0",
    "bsd-3": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc0": "CC0-1.0",
    "fsful": "FSFUL",
    "fsfullr": "FSFULLR",
    "gpl": "GPL-1.0-or-later",
    "lgpl": "LGPL-2.0-or-later",
    "mit/x11": "MIT",
    "mit/x": "MIT",
    "psf": "PSF-2.0",
}
_BY_CASE = {identifier.lower(): identifier for identifier in spdx.IDENTIFIERS}


def expression(text: str) -> str:
    """The expression over all that the file covers; as of releasekit.spdx where it names none."""
    head = text.lstrip()[:400].lower()
    if "format" in head and "copyright" in head and re.search(r"^Files:", text, re.MULTILINE):
        said = []
        for stanza in re.split(r"\n\s*\n", text):
            name = re.search(r"^License:[ \t]*(\S[^\n]*)$", stanza, re.MULTILINE)
            if name and re.search(r"^Files:", stanza, re.MULTILINE):
                said.append(_either(name[1]))
        if said:
            return spdx.join(dict.fromkeys(said))
    found = spdx.of_debian(text)
    if found != spdx.UNKNOWN:
        return found
    return spdx.join(dict.fromkeys(sorted(_name(name) for name in _COMMON.findall(text))))


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
    known = spdx.DEBIAN.get(plain) or _NAMES.get(plain) or _BY_CASE.get(plain)
    if known:
        return known
    gnu = _GNU.fullmatch(plain)
    if gnu:
        family, major, minor, later = gnu.groups()
        return f"{family.upper()}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
    return f"LicenseRef-debian-{re.sub(r'[^A-Za-z0-9.]+', '-', word.strip()).strip('-')}"
