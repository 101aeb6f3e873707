"""Where a release came from: an in-toto Statement v1 with SLSA provenance v1, as data for JSON.

Its digests are of what `./pants package ::` makes and of all that it was made from; docs/SBOM.md says
how to use it. It is covered by the signature of the bundle's manifest, so it is in no envelope.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from releasekit.inventory import SUITE, purl
from releasekit.model import ReleaseFacts

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
COMMAND = ("./pants", "package", "::")
TEST_ONLY = frozenset(("testsuite",))  # sets of debian.lock from which nothing is built
BUILD_GROUPS = ("build", "pants", "pex-pip")  # groups of tools.lock that take part in a build


def subject(name: str, sha256: str, **annotations: str) -> dict[str, Any]:
    """An artefact."""
    made: dict[str, Any] = {"name": name, "digest": {"sha256": sha256}}
    return {**made, "annotations": annotations} if annotations else made


def dependency(
    kind: str, lock: str, key: str, name: str, entry: Mapping[str, Any]
) -> dict[str, Any]:
    """A locked file, or one of the checkout, as a resolved dependency. `key` is its key in the lock."""
    locked = {"lock": f"packaging/locks/{lock}.lock", "key": key}
    return {
        "name": entry["filename"],
        "uri": purl(
            kind,
            name,
            entry["version"],
            filename=entry["filename"],
            suite=entry.get("suite", SUITE),
        ),
        "digest": {"sha256": entry["sha256"]},
        "annotations": {"file": entry["in_checkout"]} if "in_checkout" in entry else locked,
    }


def locked(locks: Mapping[str, Mapping[str, Any]], used: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every locked file that takes part in a build, once.

    `locks` are the parsed locks by name; `used` gives for a key of debian.lock the entry whose file
    stands in for the locked one.
    """
    found = []
    python = locks["python"]
    for table in ("packages", "unpacked"):
        for name, entry in python.get(table, {}).items():
            found.append(dependency("pypi", "python", f"{table}.{name}", name, entry))
            if entry.get("sdist"):
                sdist = {"version": entry["version"], **entry["sdist"]}
                found.append(dependency("pypi", "python", f"{table}.{name}.sdist", name, sdist))
    for folder, entry in locks["npm"].get("packages", {}).items():
        found.append(dependency("npm", "npm", folder, entry["name"], entry))
    for group in BUILD_GROUPS:
        for name, entry in locks["tools"]["groups"].get(group, {}).get("packages", {}).items():
            found.append(dependency("pypi", "tools", f"{group}.{name}", name, entry))
    for image, group in locks["images"]["groups"].items():
        for name, entry in group["packages"].items():
            found.append(dependency("pypi", "images", f"{image}.{name}", name, entry))
    debian = locks["debian"]
    keys = {key for name, keys in debian["sets"].items() if name not in TEST_ONLY for key in keys}
    for key in keys:
        entry = used.get(key, debian["packages"][key])
        found.append(dependency("deb", "debian", key, key.split("/", 1)[1], entry))
    return sorted(found, key=lambda row: [*row["annotations"].values()])


def statement(
    *,
    release: ReleaseFacts,
    commit: str,
    tree: str,
    subjects: Iterable[Mapping[str, Any]],
    dependencies: Iterable[Mapping[str, Any]],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """The statement. `versions` are of the tools."""
    place = f"{release.homepage}/packaging"
    source: dict[str, Any] = {"name": "source", "uri": f"git+{place}"}
    if len(plain := commit.partition("-")[0]) == 40:
        source["digest"] = {"gitCommit": plain, "gitTree": tree}
    if commit != plain or "digest" not in source:  # the digest does not tell everything
        source["annotations"] = {"commit": commit}
    definition = {
        "buildType": f"{place}/build/v1",
        "externalParameters": {
            "commit": commit,
            "targets": ["::"],
            "command": list(COMMAND),
            "release": release.version,
            "number": release.number,
        },
        "internalParameters": {
            "date": release.date,
            "architecture": "amd64",
        },
        "resolvedDependencies": [source, *dependencies],
    }
    artefacts = sorted(subjects, key=lambda row: row["name"])
    content = json.dumps([artefacts, definition], sort_keys=True).encode()
    invocation = uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(content).hexdigest())
    return {
        "_type": STATEMENT,
        "subject": artefacts,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": definition,
            "runDetails": {
                "builder": {"id": f"{place}/builder/v1", "version": dict(versions)},
                "metadata": {
                    "invocationId": f"urn:uuid:{invocation}",
                    "startedOn": release.date,
                    "finishedOn": release.date,
                },
            },
        },
    }
