from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from packageurl import PackageURL

from releasekit import specs
from releasekit.inventory import (
    InventorySpec,
    gathered,
    image_package,
    only_in_images,
    own_purl,
    owned_by,
    purl,
    purl_of,
)
from releasekit.model import Inventory, Part


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
    assert PackageURL.from_string(expected).to_string() == expected, "as the library writes it"


def test_a_deb_and_an_rpm_of_ours_name_their_architecture(inventory: Inventory) -> None:
    agent = inventory.packages[0]
    assert [own_purl(agent, file, "1.0-1") for file in agent.files] == [
        "pkg:deb/backendai/example-agent@1.0-1?arch=amd64",
        "pkg:rpm/backendai/example-agent@1.0-1?arch=x86_64",
    ]


def test_licences_come_from_the_files_that_the_spec_names(
    inventory: Inventory, tmp_path: Path
) -> None:
    licenses = tmp_path / "wheels.json"
    row = {"file": "one", "license": "0BSD", "texts": ["said"], "copyright": "A. Author"}
    licenses.write_text(json.dumps([row]))
    turned = replace(inventory, packages=inventory.packages[::-1], parts=inventory.parts[::-1])
    (tmp_path / "spec.json").write_text(specs.text(InventorySpec(turned, (str(licenses),))))
    made = gathered(specs.read(InventorySpec, tmp_path / "spec.json"))
    found = {part.name: part for part in made.parts}
    assert (found["one"].license, found["one"].texts) == ("0BSD", ("said",))
    assert found["@scope/tool"].license == "ISC", "what the spec says of a part stays"
    assert isinstance(found["one"].packages, tuple)
    assert made.packages == inventory.packages and made.pexes == inventory.pexes
    assert [part.name for part in made.parts] == [part.name for part in inventory.parts]


def test_parts_are_found_by_the_package_that_holds_them(inventory: Inventory) -> None:
    names = [part.name for part in owned_by(inventory.parts, "example-common")]
    assert names == ["libx1", "ours", "fixtures", "shared"]
    assert purl_of(Part("x", "1", kind="embedded")) == ""


def test_a_part_that_no_host_installs_is_told_from_one_that_some_do() -> None:
    image, other = image_package("python"), image_package("base")
    assert image == "image-python"
    assert only_in_images(Part("x", "1", packages=(other, image)))
    assert not only_in_images(Part("x", "1", packages=("backendai-common", image)))
    assert not only_in_images(Part("x", "1"))
