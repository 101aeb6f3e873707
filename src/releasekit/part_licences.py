"""What wheels and Debian packages say of their licences: `python -m releasekit.part_licences SPEC`.

SPEC is a JSON file: {"wheels": [paths], "debs": [paths], "output": FILE}. Written: a JSON list of
{file, license, texts, copyright}. Wheels are read as for the packages' own copyright files.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from releasekit.debfile import control, extract
from releasekit.debian_licence import expression
from releasekit.errors import run_main
from releasekit.licences import part_of_wheel
from releasekit.spdx import UNKNOWN

_DOC = "usr/share/doc/"


def of_wheel(wheel: Path) -> dict[str, Any]:
    """What a wheel says, without installing it."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if ".dist-info/" in name]
        archive.extractall(folder, inside)
        part = part_of_wheel(Path(folder, inside[0].split("/")[0]))
    return {
        "file": wheel.name,
        "license": part.licence,
        "texts": list(part.texts),
        "copyright": part.copyright,
    }


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
        licence = expression(text) if text else UNKNOWN
        rows.append(
            {
                "file": file_name,
                "license": licence,
                "texts": [text] if text else [],
                "copyright": "",
            }
        )
    return rows


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m releasekit.part_licences SPEC.json", file=sys.stderr)
        return 2
    spec = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    rows = [of_wheel(Path(wheel)) for wheel in sorted(spec["wheels"])]
    rows += of_debs([Path(deb) for deb in spec["debs"]])
    Path(spec["output"]).write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    run_main(main)
