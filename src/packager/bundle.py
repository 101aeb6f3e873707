"""The offline bundle: everything of a release in one signed tar."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import (
    BuiltPackage,
    BuiltPackageArtifact,
    PackageFieldSet,
)
from pants.engine.fs import (
    AddPrefix,
    CreateDigest,
    Digest,
    DigestEntries,
    FileEntry,
    GlobMatchErrorBehavior,
    MergeDigests,
    PathGlobs,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    AllTargets,
    SpecialCasedDependencies,
    Target,
)
from pants.engine.unions import UnionRule
from pants.util.strutil import help_text

from packager.fields import DefaultString, StringTable
from packager.inputs import KitProcess
from packager.parts import Parts, PartsRequest
from packager.release import Release
from packager.targets import ComponentFacts, ServerFacts
from packager.values import ValuesField, thaw
from releasekit import specs
from releasekit.bundle import FOLDER, BundleSpec
from releasekit.errors import Failure


class BundlePartsField(SpecialCasedDependencies):
    alias = "parts"
    help = "Addresses of what goes in: repositories, SBOM, report. Each brings its own top folder."


class BundleFilesField(StringTable):
    alias = "files"
    help = "Path or glob in the repository -> path in the bundle; one that ends in / is a folder."


class BundleDistributionField(DefaultString):
    alias = "distribution"
    default = "linux"
    help = (
        "For which hosts: `linux` for all, `deb` or `rpm` where the other repository is left out."
    )


class OfflineBundle(Target):
    alias = "offline_bundle"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        BundlePartsField,
        BundleFilesField,
        BundleDistributionField,
    )
    help = help_text(
        """
        One tar with the whole release, for sites without a network: its parts, the scripts that
        verify and install it, the sha256 of every file and one signature over these. Beside it is a
        signature of the tar itself, which is checked before it is unpacked.
        """
    )


@dataclass(frozen=True)
class BundleFieldSet(PackageFieldSet):
    required_fields = (BundlePartsField, BundleFilesField)

    parts: BundlePartsField
    files: BundleFilesField
    distribution: BundleDistributionField


@dataclass(frozen=True)
class PlacedFiles:
    """Ask for files of the repository at their place in the bundle."""

    pattern: str
    place: str
    origin: str


def bundle_spec(release: Release, accounts: Mapping[str, str], distribution: str) -> BundleSpec:
    """What the bundle says it is, from packaging/release.toml; `accounts`: service -> its own."""
    table, user = release.table["release"], release.table["user"]
    return BundleSpec(
        version=release.full_version,
        number=int(table["number"]),
        date=str(table["date"])[:10],
        distribution=distribution,
        architecture="amd64",
        account=f"{user['name']}:{user['uid']}:{user['gid']}:{release.paths['state']}",
        own_accounts=" ".join(
            f"{its}:{release.paths['state']}/{name}" for name, its in sorted(accounts.items())
        ),
        mtime=release.mtime,
    )


@rule
async def place_files(request: PlacedFiles) -> Digest:
    found = await Get(
        DigestEntries,
        PathGlobs(
            [request.pattern],
            GlobMatchErrorBehavior.error,
            description_of_origin=request.origin,
        ),
    )
    files = [entry for entry in found if isinstance(entry, FileEntry)]
    if not request.place.endswith("/") and len(files) != 1:
        raise Failure(
            f"{request.origin}: {request.pattern} are {len(files)} files, {request.place} is one",
            hint="let the place end in / to make it a folder",
        )
    return await Get(
        Digest,
        CreateDigest(
            dataclasses.replace(
                entry,
                path=posixpath.normpath(
                    posixpath.join(request.place, posixpath.basename(entry.path))
                )
                if request.place.endswith("/")
                else request.place,
            )
            for entry in files
        ),
    )


@rule(desc="Make the offline bundle")
async def package_bundle(
    field_set: BundleFieldSet, release: Release, targets: AllTargets
) -> BuiltPackage:
    kinds = (ComponentFacts, ServerFacts)
    facts = [thaw(one[ValuesField].value) for one in targets if isinstance(one, kinds)]
    spec = bundle_spec(
        release,
        {str(one["name"]): str(one["user"]) for one in facts if one["user"]},
        distribution=field_set.distribution.value,
    )
    origin = str(field_set.address)
    parts = await Get(Parts, PartsRequest(field_set.parts))
    files = await MultiGet(
        Get(Digest, PlacedFiles(pattern, place, origin))
        for pattern, place in sorted(field_set.files.value.items())
    )
    whole = await Get(Digest, MergeDigests([*(part.digest for part in parts.packages), *files]))
    placed = await Get(Digest, AddPrefix(whole, f"{FOLDER}/{spec.name}"))
    tar = f"{spec.name}.tar"
    signature = f"{tar}.sig"
    process = await Get(
        Process,
        KitProcess(
            program="bundle",
            spec=specs.text(spec),
            input_digest=placed,
            output_files=(tar, signature),
            description=f"Make {tar}",
            signs=True,
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return BuiltPackage(
        result.output_digest, (BuiltPackageArtifact(tar), BuiltPackageArtifact(signature))
    )


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, BundleFieldSet)]
