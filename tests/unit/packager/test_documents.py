"""SBOM, provenance and licences of a small release, by the rules and programs of a big one."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from miniature import REPOSITORY, VERSION, component

DEP5 = b"Format: a copyright file\n\nFiles: *\nLicense: MIT\n"
CYCLONEDX = "cyclonedx-python-lib[json-validation]"


BUILD = """
backendai_release(name="release")
session_images(name="images")
apt_repository(name="apt", packages=["c::", "packaging::"])
rpm_repository(name="rpm", packages=["c::"])
release_sbom(name="sbom", repositories=[":rpm"])
release_report(name="report", parts=[":apt", ":rpm", ":sbom"])
offline_bundle(
    name="bundle", parts=[":apt", ":rpm", ":images", ":sbom", ":report"],
    files={"packaging/README": "README"},
)
"""
IMAGE = """
session_image(
    name="x", summary="An image", image="stable/x:1", labels={"role": "COMPUTE"}, debian=["shell"],
    distributions=["shared"],
)
"""


@pytest.fixture()
def release(miniature: Any, make_deb: Any, tmp_path: Path) -> Any:
    """A release of two components, one without a PEX, and an image with a version of its own."""
    miniature.lend_libraries(CYCLONEDX)
    script = "[console_scripts]\nbackend.ai = one:main\n"
    files = {"one/__init__.py": "", "one-1.0.dist-info/entry_points.txt": script}
    miniature.lock_wheel("one", files, ["shared"])
    miniature.debian["packages"]["trixie/python3.13"] = miniature.packages["shared"]
    content = {"./usr/bin/shell": b"#!x", "./usr/share/doc/shell/copyright": DEP5}
    fields = {"Architecture": "amd64"}
    miniature.lock_deb(
        make_deb(tmp_path / "shell_1_amd64.deb", content, package="shell", fields=fields), "image-x"
    )
    miniature.lock_for_image("x", "shared", {"shared/__init__.py": "x = 2\n"}, version="2.0")
    miniature.write(
        {
            "packaging/locks/npm.lock": json.dumps({"packages": {}}),
            "packaging/licenses/MIT.txt": "The text of MIT.",
            "c/two/BUILD": component("two", pex=False),
            "i/x/BUILD": IMAGE,
            "BUILD": BUILD.replace('[":rpm"]', "[]"),
        }
    )
    return miniature


def test_the_documents_tell_of_every_package_distribution_and_lock(release: Any) -> None:
    dist = release.build(":sbom", "sbom")
    names = ["backendai-common", "backendai-one", "backendai-two"]
    bills = sorted(path.name for path in (dist / "sbom/packages").iterdir())
    assert bills == [f"{name}.cdx.json" for name in (*names, "image-x")]
    whole = json.loads((dist / "sbom/release.cdx.json").read_text())
    listed = {part.get("purl", part["name"]): part for part in whole["components"]}
    assert {*names, "pkg:pypi/one@1.0", "pkg:pypi/two@1.0", "backendai-one.pex"} <= set(listed)
    for version in ("1.0", "2.0"):
        said = listed[f"pkg:pypi/shared@{version}"]["licenses"]
        assert said == [{"license": {"id": "MIT"}}]
    shell = "pkg:deb/debian/shell@1.0?arch=amd64&distro=debian-13"
    bill = json.loads((dist / "sbom/packages/image-x.cdx.json").read_text())
    assert {part["purl"] for part in bill["components"]} == {shell, "pkg:pypi/shared@2.0"}
    needs = {row["ref"]: row.get("dependsOn", []) for row in whole["dependencies"]}
    assert needs["package:image-x"] == [shell, "pkg:pypi/shared@2.0"]
    assert needs["file:backendai-one.pex"] == ["pkg:pypi/one@1.0", "pkg:pypi/shared@1.0"]
    rows = json.loads((dist / "licenses/index.json").read_text())["components"]
    (text,) = {name for row in rows if row["name"] == "two" for name in row["texts"]}
    assert (dist / "licenses" / text).read_text() == "The text of MIT.\n"
    stated = json.loads((dist / "provenance/release.intoto.json").read_text())
    subjects = {row["name"]: row["digest"]["sha256"] for row in stated["subject"]}
    assert {f"backendai-one_{VERSION}_amd64.deb", "backendai-one.pex"} <= set(subjects)
    of_images = {name for name in subjects if name.startswith("images/")}
    assert {"images/index.json", "images/oci-layout"} <= of_images and len(of_images) == 5
    assert all(name.endswith(subjects[name]) for name in of_images if "/blobs/" in name)
    inputs = stated["predicate"]["buildDefinition"]["resolvedDependencies"]
    uris = {"pkg:pypi/two@1.0", "pkg:pypi/shared@1.0", "pkg:pypi/shared@2.0", shell}
    assert uris <= {row["uri"] for row in inputs}


def test_the_release_lists_images_and_what_they_are_made_of(release: Any) -> None:
    dist = release.build(":images", "images")
    release.build(":release", "release")
    made = json.loads((dist / "release.json").read_text())
    there = {
        path.relative_to(dist).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (dist / "images").rglob("*")
        if path.is_file()
    }
    listed = {name: row["sha256"] for name, row in made["artefacts"].items()}
    assert len(there) == 5 and there.items() <= listed.items()
    assert {"backendai-one.pex", f"backendai-one_{VERSION}_amd64.deb"} <= set(listed)
    assert "trixie/shell" in [row["package"] for row in made["debian"]]
    sums = (dist / "SHA256SUMS").read_text().splitlines()
    assert sums == [f"{digest}  {name}" for name, digest in listed.items()]


def test_all_of_it_goes_into_one_signed_file(release: Any, throw_away: Any) -> None:
    release.lend_libraries("createrepo-c", "jinja2")
    release.sign_with(throw_away)
    pages = (REPOSITORY / "packaging/report").iterdir()
    texts = {f"packaging/report/{page.name}": page.read_text() for page in pages}
    release.write({**texts, "packaging/README": "Read it.", "BUILD": BUILD})
    dist = release.build(":bundle", "bundle")
    name = f"backendai-{VERSION}-linux-amd64"
    with tarfile.open(dist / f"{name}.tar") as tar:
        inside = {member.name.removeprefix(f"{name}/") for member in tar if member.isreg()}
        page = tar.extractfile(f"{name}/report/index.html").read().decode()
        bill = json.load(tar.extractfile(f"{name}/sbom/packages/backendai-one.cdx.json"))
        rpm = tar.extractfile(f"{name}/rpm/packages/backendai-one-{VERSION}.x86_64.rpm").read()
    assert {"README", "MANIFEST", "MANIFEST.sig", "provenance/release.intoto.json"} <= inside
    assert {"apt/dists/stable/InRelease", "rpm/repodata/repomd.xml.asc"} <= inside
    assert f"apt/pool/main/backendai/backendai-two_{VERSION}_amd64.deb" in inside
    assert {"images/oci-layout", "images/index.json"} <= inside
    assert len([name for name in inside if name.startswith("images/blobs/sha256/")]) == 3
    assert "backendai-one" in page and "No earlier release was at hand" in page
    files = bill["metadata"]["component"]["components"]
    stated = {row["name"]: row["hashes"][0]["content"] for row in files}
    assert stated[f"backendai-one-{VERSION}.x86_64.rpm"] == hashlib.sha256(rpm).hexdigest()
    assert (dist / f"{name}.tar.sig").stat().st_size
