"""The bills of materials say what is in the packages, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from payload import Package
from unpacked import SERVER_PACKAGES
from wheelhouse import canonical

import dist as artefacts

INFO = re.compile(r".*/site-packages/([^/]+)-([^-/]+)\.dist-info/METADATA")
SHA256 = re.compile(r"[0-9a-f]{64}")
IMAGES = sorted(
    path.parent.name for path in (artefacts.REPOSITORY / "packaging/images").glob("*/BUILD")
)
Bills = Mapping[str, dict[str, Any]]


@pytest.fixture(scope="session")
def bills(dist: Path) -> Bills:
    """The bill of each package and image by its name, and `release`."""
    paths = sorted((dist / "sbom").rglob("*.cdx.json"))
    if not paths:
        artefacts.unavailable(f"no SBOM in {dist}: run ./pants package ::")
    return {path.name[: -len(".cdx.json")]: json.loads(path.read_text("utf-8")) for path in paths}


def said(component: Mapping[str, Any], name: str) -> list[str]:
    return [row["value"] for row in component.get("properties", ()) if row["name"] == name]


def files(component: Mapping[str, Any]) -> dict[str, str]:
    """The sha256 of each artefact of a package, by file name."""
    rows = component.get("components", ())  # of an image: none
    return {row["name"]: row["hashes"][0]["content"] for row in rows}


def distributions(bill: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What the bill says is installed, by canonical name and version."""
    return {
        (canonical(part["name"]), part["version"])
        for part in bill.get("components", ())
        if part.get("purl", "").startswith(("pkg:pypi/", "pkg:generic/"))
        and not said(part, "backendai:extent")
    }


def test_every_distribution_in_a_deb_is_in_its_bill_and_the_other_way_round(
    debs: Mapping[str, Package], bills: Bills
) -> None:
    assert {*debs, *(f"image-{name}" for name in IMAGES), "release"} == set(bills)
    for name, deb in debs.items():
        found = [INFO.fullmatch(path) for path in deb.paths("file")]
        inside = {(canonical(match[1]), match[2]) for match in found if match}
        assert inside == distributions(bills[name]), name


@pytest.mark.parametrize("image", IMAGES)
def test_what_the_locks_have_for_an_image_is_in_its_bill(bills: Bills, image: str) -> None:
    """That its layer holds just that, test_images.py says."""
    locks = {
        name: json.loads((artefacts.REPOSITORY / f"packaging/locks/{name}.lock").read_text("utf-8"))
        for name in ("debian", "images")
    }
    bill = bills[f"image-{image}"]
    wheels = locks["images"]["groups"].get(image, {"packages": {}})["packages"]
    assert distributions(bill) == {(name, entry["version"]) for name, entry in wheels.items()}
    parts = bill.get("components", ())
    debs = {part["name"] for part in parts if part.get("purl", "").startswith("pkg:deb/")}
    assert debs == {key.partition("/")[2] for key in locks["debian"]["sets"][f"image-{image}"]}
    assert len(parts) == len(debs) + len(wheels)


@pytest.mark.parametrize("package", ["backendai-runtime", *SERVER_PACKAGES])
def test_the_debian_packages_that_one_of_ours_is_made_of_are_in_its_bill(
    debs: Mapping[str, Package], bills: Bills, package: str
) -> None:
    held = [re.fullmatch(r"/opt/.*/share/licenses/([^/]+)/.*", p) for p in debs[package].members]
    inside = {match[1] for match in held if match}
    listed = {part["name"] for part in bills[package]["components"]}
    assert inside and inside == listed


def test_hashes_are_those_of_the_files_beside_it(dist: Path, bills: Bills) -> None:
    for name, bill in bills.items():
        if name == "release":
            continue
        for file, sha256 in files(bill["metadata"]["component"]).items():
            shipped = [dist / "rpm/packages" / file, dist / file]
            path = next(path for path in shipped if path.is_file())
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, file


def test_the_release_lists_every_part_of_every_package_with_its_owner(bills: Bills) -> None:
    release = {part["bom-ref"]: part for part in bills["release"]["components"]}
    for name, bill in bills.items():
        for part in bill.get("components", ()) if name != "release" else ():
            assert name in said(release[part["bom-ref"]], "backendai:package")
    for part in release.values():
        if part["type"] != "library":
            continue
        assert said(part, "backendai:package"), part["bom-ref"]
        assert part["licenses"], part["bom-ref"]
        if not said(part, "backendai:embedded"):
            assert SHA256.fullmatch(part["hashes"][0]["content"]), part["bom-ref"]


def test_the_provenance_names_every_artefact_and_only_locked_inputs(
    dist: Path, bills: Bills
) -> None:
    statement = json.loads((dist / "provenance/release.intoto.json").read_text("utf-8"))
    subjects = {row["name"]: row["digest"]["sha256"] for row in statement["subject"]}
    built = {path.name for kind in ("deb", "rpm", "pex") for path in dist.glob(f"*.{kind}")}
    images = [path for path in (dist / "images").rglob("*") if path.is_file()]
    built |= {path.relative_to(dist).as_posix() for path in images}
    assert images and built <= set(subjects)
    for name, bill in bills.items():
        if name != "release":
            assert set(files(bill["metadata"]["component"]).values()) <= set(subjects.values())
    inputs = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert all(SHA256.fullmatch(row["digest"]["sha256"]) for row in inputs[1:])


def test_every_part_has_its_licence_in_the_index_and_every_text_is_there(
    dist: Path, bills: Bills
) -> None:
    index = json.loads((dist / "licenses/index.json").read_text("utf-8"))["components"]
    listed = {row["purl"]: row["license"] for row in index if row["purl"]}
    for part in bills["release"]["components"]:
        if part["type"] == "library" and "purl" in part:
            license = part["licenses"][0]
            assert listed[part["purl"]] in (
                license.get("expression"),
                license.get("license", {}).get("id"),
            )
    named = {name for row in index for name in row["texts"]}
    texts = dist / "licenses/texts"
    assert named == {f"texts/{path.name}" for path in texts.iterdir()}
