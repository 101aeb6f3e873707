"""What wheels and Debian packages say of their licences: `python -m releasekit.part_licenses SPEC`.

SPEC is a JSON file: {"wheels": [paths], "debs": [paths], "output": FILE}. Written: a JSON list of
{file, license, texts, copyright}. Wheels are read as for the packages' own copyright files.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit.debfile import control, extract
from releasekit.debian_license import expression
from releasekit.errors import run_main
from releasekit.licenses import part_of_archive
from releasekit.specs import program

_DOC = "usr/share/doc/"


def of_wheel(wheel: Path) -> dict[str, Any]:
    """What a wheel says, without installing it."""
    part = part_of_archive(wheel)
    return _row(wheel.name, part.license, part.texts, part.copyright)


def of_debs(debs: Iterable[Path]) -> list[dict[str, Any]]:
    """What Debian packages say in their copyright files.

    A package may leave that to another of the same source: it is looked for among those given.
    """
    texts: dict[str, str] = {}
    sources: dict[str, str] = {}
    names: dict[str, str] = {}
    for deb in sorted(debs):
        facts = control(deb)
        name = facts["Package"]
        source = facts.get("Source", name).split()[0]
        names[deb.name], sources[name] = name, source
        with tempfile.TemporaryDirectory() as folder:
            extract(deb, Path(folder), lambda path: path.startswith(_DOC))
            file = Path(folder, _DOC, name, "copyright")
            if file.is_file():
                texts[name] = file.read_text("utf-8", "replace").strip()
    shared = {sources[name]: text for name, text in sorted(texts.items())}
    rows = []
    for file_name, name in names.items():
        text = texts.get(name) or shared.get(sources[name], "")
        rows.append(_row(file_name, expression(text), [text] if text else []))
    return rows


def _row(file: str, license: str, texts: Iterable[str], copyright: str = "") -> dict[str, Any]:
    return {"file": file, "license": license, "texts": list(texts), "copyright": copyright}


@dataclass(frozen=True)
class LicensesSpec:
    """Files of others, and where to write what they say of their licences. Paths of the sandbox."""

    wheels: list[str]
    debs: list[str]
    output: str


def make(spec: LicensesSpec) -> None:
    """Write a row for each file."""
    rows = [of_wheel(Path(wheel)) for wheel in sorted(spec.wheels)]
    rows += of_debs([Path(deb) for deb in spec.debs])
    Path(spec.output).write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", "utf-8")


main = program(LicensesSpec, make)


if __name__ == "__main__":
    run_main(main)
