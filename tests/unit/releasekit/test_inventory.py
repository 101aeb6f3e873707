from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from releasekit.inventory import Inventory, Part, own_purl, owned_by, purl, read


@pytest.mark.parametrize(
    ("kind", "name", "version", "filename", "expected"),
    [
        ("pypi", "pydantic-core", "2.1", "x.whl", "pkg:pypi/pydantic-core@2.1"),
        ("npm", "@envelop/core", "5.6.1", "c.tgz", "pkg:npm/%40envelop/core@5.6.1"),
        (
            "deb",
            "libstdc++6",
            "2:14.2.0-19+b1",
            "libstdc++6_14.2.0-19+b1_amd64.deb",
            "pkg:deb/debian/libstdc%2B%2B6@2:14.2.0-19%2Bb1?arch=amd64&distro=debian-13",
        ),
        ("generic", "backendai-ctl", "26.9.6", "", "pkg:generic/backendai-ctl@26.9.6"),
    ],
)
def test_package_urls_are_written_as_their_specification_says(
    kind: str, name: str, version: str, filename: str, expected: str
) -> None:
    assert purl(kind, name, version, filename=filename) == expected


def test_a_deb_and_an_rpm_of_ours_name_their_architecture(inventory: Inventory) -> None:
    agent = inventory.packages[0]
    assert [own_purl(agent, file, "1.0-1") for file in agent.files] == [
        "pkg:deb/backendai/example-agent@1.0-1?arch=amd64",
        "pkg:rpm/backendai/example-agent@1.0-1?arch=x86_64",
    ]


def test_licences_come_from_the_files_that_the_spec_names(
    inventory: Inventory, tmp_path: Path
) -> None:
    data = json.loads(json.dumps(asdict(inventory)))
    licences = tmp_path / "wheels.json"
    row = {"file": "one", "license": "0BSD", "texts": ["said"], "copyright": "A. Author"}
    licences.write_text(json.dumps([row]))
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({**data, "licences": [str(licences)]}))
    found = {part.name: part for part in read(spec).parts}
    assert (found["one"].license, found["one"].texts) == ("0BSD", ("said",))
    assert found["@scope/tool"].license == "ISC", "what the spec says of a part stays"
    assert isinstance(found["one"].packages, tuple)
    assert read(spec).packages == inventory.packages


def test_parts_are_found_by_the_package_that_holds_them(inventory: Inventory) -> None:
    names = [part.name for part in owned_by(inventory.parts, "example-common")]
    assert names == ["ours", "fixtures", "shared"]
    assert Part("embedded", "x", "1").purl == ""
