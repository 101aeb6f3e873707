from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from releasekit.errors import Failure
from releasekit.model import Inventory, Package, Part


@pytest.fixture(scope="session")
def sbom(build_libraries: Path) -> Any:
    """The module, on the locked libraries that it runs with in a build."""
    import releasekit.sbom

    return releasekit.sbom


def bills(sbom: Any, inventory: Inventory, root: Path) -> dict[str, Any]:
    sbom.write(inventory, root)
    return {
        path.relative_to(root / "sbom").as_posix(): json.loads(path.read_text())
        for path in (root / "sbom").rglob("*.json")
    }


def properties(component: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["name"], row["value"]) for row in component.get("properties", ())]


def test_there_is_a_bill_for_every_package_and_one_for_all(
    sbom: Any, inventory: Inventory, tmp_path: Path
) -> None:
    found = bills(sbom, inventory, tmp_path)
    assert sorted(found) == [
        "packages/example-agent.cdx.json",
        "packages/example-common.cdx.json",
        "release.cdx.json",
    ]
    for bill in found.values():
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
        assert bill["metadata"]["timestamp"] == "2026-01-02T03:04:05+00:00"


def test_the_bill_of_a_package_lists_what_its_files_are_of(
    sbom: Any, inventory: Inventory, tmp_path: Path
) -> None:
    bill = bills(sbom, inventory, tmp_path)["packages/example-agent.cdx.json"]
    by_name = {component["name"]: component for component in bill["components"]}
    assert set(by_name) == {"one", "@scope/tool", "zlib (in node)"}
    assert by_name["one"]["purl"] == "pkg:pypi/one@1.0"
    assert by_name["one"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert by_name["one"]["licenses"] == [{"expression": "MIT AND (Apache-2.0 OR BSD-3-Clause)"}]
    assert by_name["@scope/tool"]["licenses"] == [{"license": {"id": "ISC"}}]
    assert properties(by_name["one"]) == [("backendai:package", "example-agent")]
    files = {file["name"]: file for file in bill["metadata"]["component"]["components"]}
    deb = files["example-agent_1.0-1_amd64.deb"]
    assert deb["hashes"][0]["content"] == "b" * 64
    assert deb["purl"] == "pkg:deb/backendai/example-agent@1.0-1?arch=amd64"


def test_the_bill_of_the_release_lists_everything_and_what_depends_on_what(
    sbom: Any, inventory: Inventory, tmp_path: Path
) -> None:
    bill = bills(sbom, inventory, tmp_path)["release.cdx.json"]
    names = {component["name"] for component in bill["components"]}
    assert {part.name for part in inventory.parts} <= names
    assert {"example-agent", "example-common", "one.pex"} <= names
    needs = {row["ref"]: row.get("dependsOn", []) for row in bill["dependencies"]}
    assert "package:example-common" in needs["package:example-agent"]
    assert needs["file:one.pex"] == ["pkg:pypi/one@1.0", "pkg:pypi/shared@1.0"]
    assert needs["pkg:pypi/one@1.0"] == needs["pkg:generic/ours@1.0"] == ["pkg:pypi/shared@1.0"]
    assert "pkg:deb/debian/libx1@1.0?arch=amd64&distro=debian-13" in needs["package:example-common"]
    assert properties(bill["metadata"]["component"]) == [("backendai:number", "7")]


def with_images(inventory: Inventory) -> Inventory:
    """With an image on another; it has `one` as packages do, and `shared` in a version of its own."""
    images = (
        Package("image-base", "What all share", "amd64"),
        Package("image-python", "Python", "amd64", ("image-base",)),
    )
    own = Part("shared", "2.0", "MIT", kind="pypi", filename="s", packages=("image-python",))
    parts = [
        replace(part, packages=(*part.packages, "image-python")) if part.name == "one" else part
        for part in inventory.parts
    ]
    return replace(inventory, packages=(*inventory.packages, *images), parts=(*parts, own))


def test_an_image_of_sessions_has_a_bill_as_a_package_has(
    sbom: Any, inventory: Inventory, tmp_path: Path
) -> None:
    found = bills(sbom, with_images(inventory), tmp_path)
    bill = found["packages/image-python.cdx.json"]
    assert {part["purl"] for part in bill["components"]} == {
        "pkg:pypi/one@1.0",
        "pkg:pypi/shared@2.0",
    }
    assert bill["metadata"]["component"].get("components", []) == [], "it is no file"
    release = {part["bom-ref"]: part for part in found["release.cdx.json"]["components"]}
    owners = [value for _, value in properties(release["pkg:pypi/one@1.0"])]
    assert owners == ["example-agent", "image-python"]
    assert properties(release["pkg:pypi/shared@2.0"]) == [("backendai:package", "image-python")]
    needs = {
        row["ref"]: row.get("dependsOn", []) for row in found["release.cdx.json"]["dependencies"]
    }
    assert needs["package:image-python"] == [
        "package:image-base",
        "pkg:pypi/one@1.0",
        "pkg:pypi/shared@2.0",
    ]


def test_what_only_an_image_holds_is_needed_by_nothing_outside_of_it(
    sbom: Any, inventory: Inventory, tmp_path: Path
) -> None:
    """`one` and the PEX are made with the version of the packages, not with that of the image."""
    images = with_images(inventory)
    for parts in (images.parts, images.parts[::-1]):
        bill = json.loads(sbom.text_of(sbom.release_bill(replace(images, parts=parts)), "x"))
        needs = {row["ref"]: row.get("dependsOn", []) for row in bill["dependencies"]}
        assert needs["file:one.pex"] == ["pkg:pypi/one@1.0", "pkg:pypi/shared@1.0"]
        assert needs["pkg:pypi/one@1.0"] == ["pkg:pypi/shared@1.0"]


def test_the_same_inventory_gives_the_same_bytes_and_another_another_serial_number(
    sbom: Any, inventory: Inventory, tmp_path: Path
) -> None:
    def text(given: Inventory) -> str:
        return str(sbom.text_of(sbom.release_bill(given), "x"))

    assert text(inventory) == text(inventory)
    fewer = Inventory(inventory.release, inventory.packages, inventory.parts[1:])
    assert json.loads(text(fewer))["serialNumber"] != json.loads(text(inventory))["serialNumber"]


def test_what_the_schema_refuses_is_not_written(sbom: Any, inventory: Inventory) -> None:
    from cyclonedx.model import HashAlgorithm, HashType

    bill = sbom.release_bill(inventory)
    next(iter(bill.components)).hashes.add(HashType(alg=HashAlgorithm.SHA_256, content="no hash"))
    with pytest.raises(Failure, match=r"x is not valid CycloneDX 1\.6"):
        sbom.text_of(bill, "x")
