"""The machine-readable copyright file (DEP-5) of a package, from what its parts say of themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Iterable

# Free-text `License:` fields and classifiers that wheels use, as SPDX expressions.
SPDX = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache": "Apache-2.0",
    "apachev2": "Apache-2.0",
    "asl 2": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "modified bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "lgplv3": "LGPL-3.0-only",
    "lgplv3+": "LGPL-3.0-or-later",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "gnu library or lesser general public license (lgpl)": "LGPL-2.1-or-later",
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "expat": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl 2.0": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "psf": "PSF-2.0",
    "psf license": "PSF-2.0",
    "public domain": "LicenseRef-public-domain",
    "the unlicense (unlicense)": "Unlicense",
    "zope public license": "ZPL-2.1",
}
UNKNOWN = "LicenseRef-unstated"


@dataclass(frozen=True)
class Part:
    """A bundled work: where it came from, its licence and the licence texts it carries."""

    name: str
    version: str
    licence: str
    texts: tuple[str, ...] = ()
    copyright: str = ""


def spdx(text: str) -> str:
    """An SPDX expression for a free-text licence, `LicenseRef-unstated` where none is recognised."""
    plain = " ".join(text.split())
    if plain.upper() in ("", "UNKNOWN"):
        return UNKNOWN
    if re.fullmatch(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*", plain) and plain.lower() not in SPDX:
        return plain if len(plain) < 80 and not plain.islower() else SPDX.get(plain.lower(), UNKNOWN)
    return SPDX.get(plain.lower().rstrip("."), UNKNOWN)


def part_of_wheel(info: Path) -> Part:
    """What the installed distribution with this `.dist-info` folder says of its licence."""
    meta = HeaderParser().parsestr((info / "METADATA").read_text("utf-8", "replace"))
    said = meta.get("License-Expression") or ""
    licence = said if said else spdx(meta.get("License") or "")
    if licence == UNKNOWN:
        for line in meta.get_all("Classifier") or ():
            if line.startswith("License ::"):
                licence = spdx(line.rsplit("::", 1)[1].strip())
                if licence != UNKNOWN:
                    break
    names = ("LICEN", "COPYING", "NOTICE", "AUTHORS", "COPYRIGHT")
    files = sorted(p for p in info.rglob("*") if p.is_file() and p.name.upper().startswith(names))
    texts = tuple(p.read_text("utf-8", "replace").strip() for p in files if p.stat().st_size < 400_000)
    if licence == UNKNOWN:
        licence = _from_text("\n".join(texts))
    author = meta.get("Author") or meta.get("Author-email") or meta.get("Maintainer") or ""
    return Part(meta["Name"], meta["Version"], licence, texts, " ".join(author.split()))


def spdx_of_debian(text: str) -> str:
    """The licences that a Debian copyright file names, joined; the usual short names are SPDX's."""
    debian = {
        "expat": "MIT",
        "gpl-2": "GPL-2.0-only",
        "gpl-2+": "GPL-2.0-or-later",
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
        "bzip2": "bzip2-1.0.6",
    }
    said = re.findall(r"^License:[ \t]*(\S[^\n]*)$", text, re.MULTILINE)
    words = {word.lower() for line in said for word in re.split(r"\s+(?:and|or|with)\s+|,\s*", line)}
    found = sorted({debian[word.strip()] for word in words if word.strip() in debian})
    return " AND ".join(found) or _from_text(text)


def _from_text(text: str) -> str:
    head = " ".join(text.split())[:4000].lower()
    for words, licence in (
        ("apache license", "Apache-2.0"),
        ("mozilla public license", "MPL-2.0"),
        ("gnu lesser general public license", "LGPL-3.0-only"),
        ("permission is hereby granted, free of charge", "MIT"),
        ("permission to use, copy, modify, and/or distribute", "ISC"),
        ("neither the name of", "BSD-3-Clause"),
        ("redistributions in binary form", "BSD-2-Clause"),
    ):
        if words in head:
            return licence
    return UNKNOWN


def copyright_file(
    *, package: str, homepage: str, own: str, parts: Iterable[Part], intro: str = ""
) -> str:
    """The text of `/usr/share/doc/PACKAGE/copyright`: ours first, then one stanza a bundled part."""
    lines = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        f"Upstream-Name: {package}",
        f"Source: {homepage}",
        *([f"Comment: {intro}"] if intro else []),
        "",
        "Files: *",
        "Copyright: Lablup Inc. and contributors",
        f"License: {own}",
        " On Debian systems the text of the GNU Lesser General Public License, version 3,",
        " is found in /usr/share/common-licenses/LGPL-3.",
    ]
    for part in sorted(parts, key=lambda p: (p.name.lower(), p.version)):
        lines += [
            "",
            f"Files: {part.name}-{part.version}",
            f"Copyright: {part.copyright or f'the authors of {part.name}'}",
            f"License: {part.licence}",
        ]
        for text in part.texts:
            lines += [f" {line}" if line.strip() else " ." for line in text.splitlines()]
            lines.append(" .")
        if part.texts:
            lines.pop()
    return "\n".join(lines) + "\n"


def expression(own: str, parts: Iterable[Part]) -> str:
    """One SPDX expression over ours and all bundled parts, for an rpm's `License:`."""
    found = {own}
    for part in parts:
        if part.licence != UNKNOWN:
            found.add(f"({part.licence})" if " OR " in part.licence else part.licence)
    return " AND ".join([own, *sorted(found - {own})])
