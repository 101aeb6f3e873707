"""The release: every artefact with its sha256, and the check that no file is in two packages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.engine.fs import (
    CreateDigest,
    Digest,
    DigestContents,
    DigestEntries,
    FileContent,
    MergeDigests,
)
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import AllTargets
from pants.engine.unions import UnionRule

from packager.artefacts import Built, files
from packager.drift import Debs, DebsRequest
from packager.images import ImageTargets
from packager.release import Release
from packager.targets import DebianSetField, ReleaseMarkerField
from releasekit.errors import Failure
from releasekit.locks import image_set
from releasekit.model import File


@dataclass(frozen=True)
class ReleaseFieldSet(PackageFieldSet):
    required_fields = (ReleaseMarkerField,)


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
    release: Release, artefacts: Iterable[File], debian: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a release is: {artefacts: {name: {sha256, size}}, debian: packages, drift: those replaced}."""
    rows = [dict(row) for row in debian]
    return {
        "version": release.version,
        "revision": release.table["release"]["revision"],
        "artefacts": {file.path: {"sha256": file.sha256, "size": file.size} for file in artefacts},
        "debian": rows,
        "drift": [row for row in rows if "drifted_from" in row],
    }


@rule(desc="List the release")
async def package_release(
    _field_set: ReleaseFieldSet,
    targets: AllTargets,
    images: ImageTargets,
    release: Release,
    built: Built,
) -> BuiltPackage:
    sets = {t[DebianSetField].value for t in targets if t.has_field(DebianSetField)}
    sets |= set(map(image_set, images.names))
    debian = await MultiGet(Get(Debs, DebsRequest(name)) for name in sorted(sets))
    lists = await MultiGet(Get(DigestContents, Digest, one.files) for one in built.packages)
    for kind in ("deb", "rpm"):
        check_owners(
            (package.name, json.loads(contents[0].content))
            for package, contents in zip(built.packages, lists)
            if package.output.endswith(kind)
        )
    merged = await Get(Digest, MergeDigests(built.digests))
    artefacts = files(await Get(DigestEntries, Digest, merged))
    rows = [row for debs in debian for row in debs.provenance]
    text = json.dumps(manifest(release, artefacts, rows), indent=1) + "\n"
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in artefacts)
    made = {"release.json": text, "SHA256SUMS": sums}
    digest = await Get(
        Digest, CreateDigest(FileContent(name, text.encode()) for name, text in made.items())
    )
    return BuiltPackage(digest, tuple(BuiltPackageArtifact(name) for name in made))


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, ReleaseFieldSet)]
