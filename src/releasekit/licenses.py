"""The machine-readable copyright file (DEP-5) of a package, from what its parts say of themselves."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from email.parser import HeaderParser
from pathlib import Path

from releasekit import spdx
from releasekit.model import UNKNOWN, Part
from releasekit.read_licenses import of_texts

_NAMES = ("LICEN", "COPYING", "NOTICE", "AUTHORS", "COPYRIGHT")
_LARGEST_TEXT = 400_000  # bytes; what is larger is no licence

# Licences that many parts carry in full: a package holds each text once, in a file of its own.
COMMON = {
    "Apache-2.0.txt": re.compile(
        r"Apache License\s+Version 2\.0, January 2004.*?"
        r"TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"
        r".*?accepting\s+any\s+such\s+warranty\s+or\s+additional\s+liability\."
        r"(?:\s+END OF TERMS AND CONDITIONS)?",
        re.DOTALL,
    ),
    "GPL-3.0.txt": re.compile(
        r"GNU GENERAL PUBLIC LICENSE\s+Version 3, 29 June 2007.*?END OF TERMS AND CONDITIONS",
        re.DOTALL,
    ),
}


def part_of_wheel(info: Path) -> Part:
    """What the installed distribution with this `.dist-info` folder says of its licence."""
    meta = HeaderParser().parsestr((info / "METADATA").read_text("utf-8", "replace"))
    files = sorted(p for p in info.rglob("*") if p.is_file() and p.name.upper().startswith(_NAMES))
    texts = tuple(
        p.read_text("utf-8", "replace").strip() for p in files if p.stat().st_size < _LARGEST_TEXT
    )
    classifiers = [
        line.rsplit("::", 1)[1].strip()
        for line in meta.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    license = stated(
        meta.get("License-Expression") or "", meta.get("License") or "", classifiers, texts
    )
    author = meta.get("Author") or meta.get("Author-email") or meta.get("Maintainer") or ""
    return Part(meta["Name"], meta["Version"], license, texts, " ".join(author.split()))


def part_of_archive(wheel: Path) -> Part:
    """The same of a wheel that is not installed."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        # Not that of what its authors put into it, such as setuptools/_vendor/NAME.dist-info.
        inside = [n for n in archive.namelist() if n.split("/")[0].endswith(".dist-info")]
        archive.extractall(folder, inside)
        return part_of_wheel(Path(folder, inside[0].split("/")[0]))


def stated(expression: str, field: str, classifiers: Iterable[str], texts: tuple[str, ...]) -> str:
    """The licence of a distribution by the surest of what it says: expression, field, classifiers.

    A statement counts if all of it is known. Otherwise: what somebody has read in the texts, or, where
    it carries none, in the field.
    """
    for said in ([expression], [field], list(classifiers)):
        found = [spdx.normal(text) for text in said]
        if found and UNKNOWN not in found:
            return spdx.join(found)
    return of_texts(texts or (field,))


def without_common(parts: Iterable[Part]) -> tuple[list[Part], dict[str, str]]:
    """The parts with common licences' texts replaced by a reference, and these texts by file name."""
    made = []
    common: dict[str, str] = {}

    def shorten(text: str) -> str:
        for file, pattern in COMMON.items():
            found = pattern.search(text)
            if found:
                common.setdefault(file, found.group(0) + "\n")
                text = pattern.sub(
                    f"(the text of this licence is in {file} beside this file)", text
                )
        return text

    for part in sorted(parts, key=lambda p: (p.name.lower(), p.version)):
        made.append(replace(part, texts=tuple(shorten(text) for text in part.texts)))
    return made, common


def write_common(folder: Path, common: Mapping[str, str]) -> None:
    """Write the texts of common licences that are not in the folder yet."""
    for name, text in common.items():
        if not (folder / name).exists():
            (folder / name).write_text(text, "utf-8")
            (folder / name).chmod(0o644)


def write_doc(
    folder: Path, *, package: str, homepage: str, own: str, parts: Iterable[Part]
) -> None:
    """Write `copyright` and common licences' texts into a package's folder of documentation."""
    folder.mkdir(parents=True, exist_ok=True)
    shortened, common = without_common(parts)
    text = copyright_file(package=package, homepage=homepage, own=own, parts=shortened)
    (folder / "copyright").write_text(text, "utf-8")
    (folder / "copyright").chmod(0o644)
    write_common(folder, common)


def copyright_file(*, package: str, homepage: str, own: str, parts: Iterable[Part]) -> str:
    """The text of `/usr/share/doc/PACKAGE/copyright`: ours first, then one stanza a bundled part."""
    lines = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        f"Upstream-Name: {package}",
        f"Source: {homepage}",
        "",
        "Files: *",
        "Copyright: 2015-2026 Lablup Inc. and contributors",
        f"License: {own}",
        " On Debian systems the text of the GNU Lesser General Public License, version 3,",
        " is found in /usr/share/common-licenses/LGPL-3.",
    ]
    for part in sorted(parts, key=lambda p: (p.name.lower(), p.version)):
        lines += stanza(part)
    return "\n".join(lines) + "\n"


def stanza(part: Part) -> list[str]:
    """The lines of one bundled part, an empty one first."""
    lines = [
        "",
        f"Files: {part.name}-{part.version}",
        f"Copyright: {part.copyright or f'the authors of {part.name}'}",
        f"License: {part.license}",
    ]
    for text in part.texts:
        lines += [f" {line.rstrip()}" if line.strip() else " ." for line in text.splitlines()]
        lines.append(" .")
    if part.texts:
        lines.pop()
    return lines


def expression(own: str, parts: Iterable[Part]) -> str:
    """One SPDX expression over ours and all bundled parts, for an rpm's `License:`."""
    return spdx.join(sorted(part.license for part in parts), first=own)
