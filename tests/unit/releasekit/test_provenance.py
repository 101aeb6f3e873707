from __future__ import annotations

import json
from typing import Any

import pytest

from releasekit.model import ReleaseFacts
from releasekit.provenance import dependency, locked, statement, subject

RELEASE = ReleaseFacts(
    name="Example",
    version="1.0-1",
    number=7,
    date="2026-01-02T00:00:00Z",
    homepage="https://www.example.org",
    license="LGPL-3.0-only",
    vendor="Example Inc.",
)
COMMIT, TREE = "1" * 40, "2" * 40


def entry(filename: str, digit: str, **more: Any) -> dict[str, Any]:
    return {"version": "1.0", "filename": filename, "sha256": digit * 64, "size": 1, **more}


LOCKS: dict[str, dict[str, Any]] = {
    "python": {
        "packages": {"one": entry("one.whl", "a", sdist=entry("one.tar.gz", "b"))},
        "unpacked": {"two": entry("two.whl", "c")},
    },
    "npm": {"packages": {"node_modules/x": entry("x.tgz", "d", name="x")}},
    "tools": {
        "groups": {
            "build": {"packages": {"pex": entry("pex.whl", "e")}},
            "test": {"packages": {"pytest": entry("pytest.whl", "f")}},
        }
    },
    "images": {
        "groups": {"low": {"packages": {}}, "high": {"packages": {"jl": entry("jl.whl", "8")}}}
    },
    "debian": {
        "sets": {"services": ["trixie/db"], "testsuite": ["trixie/tests"]},
        "packages": {
            "trixie/db": entry("db_1.0_amd64.deb", "0"),
            "trixie/tests": entry("tests_1.0_all.deb", "1"),
        },
    },
}


def state(commit: str = COMMIT, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "release": RELEASE,
        "commit": commit,
        "tree": TREE,
        "subjects": [subject("b.rpm", "b" * 64), subject("a.deb", "a" * 64)],
        "dependencies": locked(LOCKS, {}),
        "versions": {"pants": "2.17.1"},
    }
    return statement(**{**given, **more})


def test_every_locked_input_of_a_build_is_named_by_digest() -> None:
    found = {row["annotations"]["key"]: row for row in locked(LOCKS, {})}
    assert set(found) == {
        *("packages.one", "packages.one.sdist", "unpacked.two"),
        *("node_modules/x", "build.pex", "high.jl", "trixie/db"),
    }
    assert found["packages.one"]["digest"] == {"sha256": "a" * 64}
    assert found["high.jl"]["uri"] == "pkg:pypi/jl@1.0"
    assert found["high.jl"]["annotations"]["lock"] == "packaging/locks/images.lock"
    assert found["trixie/db"]["uri"] == "pkg:deb/debian/db@1.0?arch=amd64&distro=debian-13"


def test_what_stood_in_for_a_package_that_left_the_mirror_is_the_input() -> None:
    used = {"trixie/db": entry("db_1.1_amd64.deb", "9")}
    found = next(row for row in locked(LOCKS, used) if row["annotations"]["key"] == "trixie/db")
    assert (found["name"], found["digest"]) == ("db_1.1_amd64.deb", {"sha256": "9" * 64})


def test_the_statement_has_the_form_of_in_toto_and_slsa() -> None:
    made = state()
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [row["name"] for row in made["subject"]] == ["a.deb", "b.rpm"]
    definition = made["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["commit"] == COMMIT
    assert definition["externalParameters"]["command"][-2:] == ["package", "::"]
    source = definition["resolvedDependencies"][0]
    assert source["digest"] == {"gitCommit": COMMIT, "gitTree": TREE}
    assert made["predicate"]["runDetails"]["metadata"]["startedOn"] == RELEASE.date


def test_the_same_commit_gives_the_same_bytes_and_another_does_not() -> None:
    assert json.dumps(state()) == json.dumps(state())
    other = state(commit="3" * 40)["predicate"]["runDetails"]["metadata"]
    assert other != state()["predicate"]["runDetails"]["metadata"]


@pytest.mark.parametrize(
    ("commit", "digest"),
    [(f"{COMMIT}-dirty", {"gitCommit": COMMIT, "gitTree": TREE}), ("unknown", None)],
)
def test_a_changed_or_unknown_source_says_so(commit: str, digest: Any) -> None:
    definition = state(commit=commit)["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["commit"] == commit
    source = definition["resolvedDependencies"][0]
    assert source.get("digest") == digest
    assert source["annotations"] == {"commit": commit}


def test_an_artefact_says_what_it_was_signed_from() -> None:
    assert subject("rpm/packages/a.rpm", "a" * 64, unsigned="a.rpm")["annotations"] == {
        "unsigned": "a.rpm"
    }
    row = dependency("npm", "npm", "node_modules/x", "x", entry("x.tgz", "d"))
    assert row["annotations"] == {"lock": "packaging/locks/npm.lock", "key": "node_modules/x"}


def test_a_wheel_of_the_checkout_is_named_by_its_path_there() -> None:
    place = "packaging/components/npu/npu.whl"
    row = dependency(
        "pypi", "python", "packages.npu", "npu", entry("npu.whl", "e", in_checkout=place)
    )
    assert row["annotations"] == {"file": place}
    # Where a locked Debian package lies on its mirror is no path of ours.
    deb = dependency("deb", "debian", "trixie/x", "x", entry("x.deb", "f", path="pool/x.deb"))
    assert deb["annotations"] == {"lock": "packaging/locks/debian.lock", "key": "trixie/x"}
