"""SBOM, provenance and licences of a small release, by the rules and programs of a big one."""

from __future__ import annotations

import hashlib
import json
import tarfile
from typing import Any

import pytest
from miniature import REPOSITORY, VERSION, component

CYCLONEDX = "cyclonedx-python-lib[json-validation]"


BUILD = """
apt_repository(name="apt", packages=["c::", "packaging::"])
rpm_repository(name="rpm", packages=["c::"])
release_sbom(name="sbom", repositories=[":rpm"])
release_report(name="report", parts=[":apt", ":rpm", ":sbom"])
offline_bundle(
    name="bundle", parts=[":apt", ":rpm", ":sbom", ":report"], files={"packaging/README": "README"},
)
"""


@pytest.fixture()
def release(miniature: Any) -> Any:
    """A release of two components, one without a PEX."""
    miniature.lend_libraries(CYCLONEDX)
    script = "[console_scripts]\nbackend.ai = one:main\n"
    files = {"one/__init__.py": "", "one-1.0.dist-info/entry_points.txt": script}
    miniature.lock_wheel("one", files, ["shared"])
    miniature.debian["packages"]["trixie/python3.13"] = miniature.packages["shared"]
    miniature.write(
        {
            "packaging/locks/npm.lock": json.dumps({"packages": {}}),
            "packaging/licenses/MIT.txt": "The text of MIT.",
            "c/two/BUILD": component("two", pex=False),
            "BUILD": BUILD.replace('[":rpm"]', "[]"),
        }
    )
    return miniature


def test_the_documents_tell_of_every_package_distribution_and_lock(release: Any) -> None:
    dist = release.build(":sbom", "sbom")
    names = ["backendai-common", "backendai-one", "backendai-two"]
    bills = sorted(path.name for path in (dist / "sbom/packages").iterdir())
    assert bills == [f"{name}.cdx.json" for name in names]
    whole = json.loads((dist / "sbom/release.cdx.json").read_text())
    listed = {part["name"]: part for part in whole["components"]}
    assert {*names, "one", "two", "shared", "backendai-one.pex"} <= set(listed)
    assert listed["shared"]["purl"] == "pkg:pypi/shared@1.0"
    assert listed["shared"]["licenses"] == [{"license": {"id": "MIT"}}]
    needs = {row["ref"]: row.get("dependsOn", []) for row in whole["dependencies"]}
    assert needs["file:backendai-one.pex"] == ["pkg:pypi/one@1.0", "pkg:pypi/shared@1.0"]
    rows = json.loads((dist / "licenses/index.json").read_text())["components"]
    (text,) = {name for row in rows if row["name"] == "two" for name in row["texts"]}
    assert (dist / "licenses" / text).read_text() == "The text of MIT.\n"
    stated = json.loads((dist / "provenance/release.intoto.json").read_text())
    subjects = {row["name"] for row in stated["subject"]}
    assert {f"backendai-one_{VERSION}_amd64.deb", "backendai-one.pex"} <= subjects
    inputs = stated["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert "pkg:pypi/two@1.0" in {row["uri"] for row in inputs}


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
    assert "backendai-one" in page and "This is the first release" in page
    files = bill["metadata"]["component"]["components"]
    stated = {row["name"]: row["hashes"][0]["content"] for row in files}
    assert stated[f"backendai-one-{VERSION}.x86_64.rpm"] == hashlib.sha256(rpm).hexdigest()
    assert (dist / f"{name}.tar.sig").stat().st_size
