from __future__ import annotations

import json
from pathlib import Path

from releasekit.license_index import index, write
from releasekit.model import Inventory


def test_every_part_and_package_has_a_row(inventory: Inventory) -> None:
    rows, _ = index(inventory, {})
    names = {(row["type"], row["name"]) for row in rows["components"]}
    assert (
        ("pypi", "one") in names and ("own", "ours") in names and ("own", "example-agent") in names
    )
    assert len(rows["components"]) == len(inventory.parts) + len(inventory.packages)
    by_name = {row["name"]: row for row in rows["components"]}
    assert by_name["libx1"]["packages"] == ["example-common"]
    assert by_name["shared"]["packages"] == ["example-common"]
    assert by_name["zlib (in node)"]["type"] == "embedded"


def test_a_part_without_a_text_gets_the_standard_one_of_its_licence(inventory: Inventory) -> None:
    rows, texts = index(inventory, {"ISC": "Standard ISC", "LGPL-3.0-only": "Standard LGPL"})
    by_name = {row["name"]: [texts[name] for name in row["texts"]] for row in rows["components"]}
    assert by_name["@scope/tool"] == ["Standard ISC\n"]
    assert by_name["example-agent"] == ["Standard LGPL\n"]
    assert by_name["shared"] == ["The licence.\n"], "its own text stays"
    assert by_name["libx1"] == []


def test_a_text_that_several_parts_carry_is_there_once(
    inventory: Inventory, tmp_path: Path
) -> None:
    write(inventory, tmp_path)
    rows = json.loads((tmp_path / "licenses/index.json").read_text())["components"]
    by_name = {row["name"]: row["texts"] for row in rows}
    assert len(by_name["one"]) == 2 and by_name["shared"] == [by_name["one"][0]]
    files = {p.relative_to(tmp_path / "licenses").as_posix() for p in tmp_path.rglob("*.txt")}
    assert files == set(by_name["one"])
    assert (tmp_path / "licenses" / by_name["shared"][0]).read_text() == "The licence.\n"
