"""The licences of a release, to list and search: `python -m releasekit.license_index SPEC`.

SPEC is an inventory (releasekit.inventory). Written: `licenses/index.json` with a row for every part,
and each licence text once, in `licenses/texts/`, named by its content. A part that carries no text of
its licence gets the standard one, if there is one in `standard/IDENTIFIER.txt`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from releasekit.errors import run_main
from releasekit.inventory import InventorySpec, gathered, purl_of
from releasekit.model import Inventory
from releasekit.spdx import terms
from releasekit.specs import program

FOLDER = "licenses"
TYPES = {"generic": "own"}  # in the index; other kinds keep their name
_DIGITS = 16  # of the sha256 that names a text


def index(
    inventory: Inventory, standard: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The index, and the texts by their path below `licenses/`.

    `standard` are the texts of licences that are the same for every work, by SPDX identifier.
    """
    texts: dict[str, str] = {}

    def kept(given: Iterable[str], license: str) -> list[str]:
        own = list(given) or [standard[term] for term in terms(license) if term in standard]
        files = []
        for text in own:
            whole = text.strip() + "\n"
            name = f"texts/{hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]}.txt"
            texts[name] = whole
            files.append(name)
        return list(dict.fromkeys(files))

    rows = []
    for part in inventory.parts:
        rows.append(
            {
                "name": part.name,
                "version": part.version,
                "type": TYPES.get(part.kind, part.kind),
                "purl": purl_of(part),
                "license": part.license,
                "copyright": part.copyright,
                "packages": list(part.packages),
                "texts": kept(part.texts, part.license),
            }
        )
    for package in inventory.packages:
        rows.append(
            {
                "name": package.name,
                "version": inventory.release.version,
                "type": "own",
                "purl": "",
                "license": inventory.release.license,
                "copyright": "",
                "packages": [package.name],
                "texts": kept((), inventory.release.license),
            }
        )
    rows.sort(key=lambda row: (row["type"], row["name"], row["version"], row["packages"]))
    return {"format": 1, "release": inventory.release.version, "components": rows}, texts


def write(inventory: Inventory, root: Path) -> None:
    """Write the folder `licenses` below `root`, where the folder `standard` may be."""
    standard = {path.stem: path.read_text("utf-8") for path in root.glob("standard/*.txt")}
    rows, texts = index(inventory, standard)
    folder = root / FOLDER
    (folder / "texts").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "index.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def make(spec: InventorySpec) -> None:
    """Write the folder to the working folder."""
    write(gathered(spec), Path())


main = program(InventorySpec, make)


if __name__ == "__main__":
    run_main(main)
