"""The release: every artefact with its sha256, and the check that no file is in two packages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import (
    BuiltPackage,
    BuiltPackageArtifact,
    OutputPathField,
    PackageFieldSet,
)
from pants.engine.fs import (
    CreateDigest,
    Digest,
    DigestContents,
    DigestEntries,
    FileContent,
    FileEntry,
    MergeDigests,
)
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import AllTargets
from pants.engine.unions import UnionRule

from packager.drift import Debs, DebsRequest
from packager.nfpm.fields import DebOutputField, RpmOutputField
from packager.nfpm.rules import DebFieldSet, NfpmPackage, NfpmRequest, RpmFieldSet
from packager.pex import PexFieldSet
from packager.release import Release
from packager.repositories import DebianSetsField
from packager.targets import DebianSetField, ReleaseMarkerField
from releasekit.errors import Failure


@dataclass(frozen=True)
class ReleaseFieldSet(PackageFieldSet):
    required_fields = (ReleaseMarkerField, OutputPathField)

    output_path: OutputPathField


def check_owners(packages: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Failure when a path is installed by two packages; names both."""
    owner: dict[str, str] = {}
    for package, paths in packages:
        for path in paths:
            if path in owner:
                raise Failure(
                    f"{path} is in two packages: {owner[path]} and {package}",
                    hint="leave it out of one: its `files` in the BUILD file, or a row of "
                    "packaging/common/prune.toml when a wheel brings it",
                )
            owner[path] = package


def manifest(
    release: Release, artefacts: Mapping[str, tuple[str, int]], debian: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a release is: {artefacts: {name: {sha256, size}}, debian: packages, drift: those replaced}."""
    rows = [dict(row) for row in debian]
    return {
        "version": release.version,
        "revision": release.table["release"]["revision"],
        "artefacts": {
            name: {"sha256": sha256, "size": size} for name, (sha256, size) in artefacts.items()
        },
        "debian": rows,
        "drift": [row for row in rows if "drifted_from" in row],
    }


@rule(desc="List the release")
async def package_release(
    field_set: ReleaseFieldSet, targets: AllTargets, release: Release
) -> BuiltPackage:
    debs = [t for t in targets if DebFieldSet.is_applicable(t)]
    rpms = [t for t in targets if RpmFieldSet.is_applicable(t)]
    pexes = [t for t in targets if PexFieldSet.is_applicable(t)]
    requests = [NfpmRequest(t.address, "deb", t[DebOutputField].value) for t in debs]
    requests += [NfpmRequest(t.address, "rpm", t[RpmOutputField].value) for t in rpms]
    built = await MultiGet(Get(NfpmPackage, NfpmRequest, request) for request in requests)
    pex = await MultiGet(Get(BuiltPackage, PexFieldSet, PexFieldSet.create(t)) for t in pexes)
    sets = {t[DebianSetField].value or "" for t in targets if t.has_field(DebianSetField)}
    repositories = [t[DebianSetsField].value for t in targets if t.has_field(DebianSetsField)]
    sets = sets.union(*(names or () for names in repositories))
    provenance = await MultiGet(Get(Debs, DebsRequest(name)) for name in sorted(sets))
    lists = await MultiGet(Get(DigestContents, Digest, package.files) for package in built)
    for kind in ("deb", "rpm"):
        check_owners(
            (package.name, json.loads(contents[0].content))
            for package, contents in zip(built, lists)
            if package.output.endswith(kind)
        )
    merged = await Get(Digest, MergeDigests([*(p.digest for p in built), *(p.digest for p in pex)]))
    entries = await Get(DigestEntries, Digest, merged)
    artefacts = {
        e.path: (e.file_digest.fingerprint, e.file_digest.serialized_bytes_length)
        for e in sorted(entries, key=lambda e: e.path)
        if isinstance(e, FileEntry)
    }
    rows = [row for debs_ in provenance for row in debs_.provenance]
    text = json.dumps(manifest(release, artefacts, rows), indent=1) + "\n"
    sums = "".join(f"{sha256}  {name}\n" for name, (sha256, _) in artefacts.items())
    digest = await Get(
        Digest,
        CreateDigest(
            [FileContent("release.json", text.encode()), FileContent("SHA256SUMS", sums.encode())]
        ),
    )
    return BuiltPackage(
        digest, (BuiltPackageArtifact("release.json"), BuiltPackageArtifact("SHA256SUMS"))
    )


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, ReleaseFieldSet)]
