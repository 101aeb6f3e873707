"""The repositories of a release: apt_repository and rpm_repository, and the keys that hosts trust.

Package files never pass through a repository's process: it writes the index, and the files join it
as they are. Only a signed rpm is a new file, made by a process of its own.
"""

from __future__ import annotations

import dataclasses
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.core.target_types import FileSourceField
from pants.engine.addresses import Address
from pants.engine.fs import (
    AddPrefix,
    CreateDigest,
    Digest,
    DigestEntries,
    FileContent,
    FileEntry,
    MergeDigests,
    RemovePrefix,
    Snapshot,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    AllTargets,
    GeneratedSources,
    GenerateSourcesRequest,
    Target,
)
from pants.engine.unions import UnionRule
from pants.util.strutil import help_text

from packager.fields import MadeSources, RequiredStrings
from packager.inputs import KitProcess, SigningEnvironment
from packager.nfpm.rules import DebFieldSet, NfpmPackage, NfpmRequest, RpmFieldSet
from packager.release import Release
from releasekit import specs
from releasekit.apt_repository import AptSpec
from releasekit.errors import Failure
from releasekit.rpm_repository import RpmSpec
from releasekit.rpm_sign import SignSpec
from releasekit.signing import KEYRING as KEYRING_VARIABLE
from releasekit.signing import armored

KEYRING = "backendai-archive-keyring"


class RepositoryPackagesField(RequiredStrings):
    alias = "packages"
    help = help_text(
        """
        Which package targets are in it: addresses, `folder:` for those of one folder, `folder::` for
        those below it too. Targets of other kinds are passed over.
        """
    )


class AptPackagesField(RepositoryPackagesField):
    pass


class RpmPackagesField(RepositoryPackagesField):
    pass


class AptRepository(Target):
    alias = "apt_repository"
    core_fields = (*COMMON_TARGET_FIELDS, AptPackagesField)
    help = "A signed apt repository in dist/apt: pool and index."


class RpmRepository(Target):
    alias = "rpm_repository"
    core_fields = (*COMMON_TARGET_FIELDS, RpmPackagesField)
    help = "A signed rpm repository in dist/rpm: signed packages and repodata."


class KeyringSourcesField(MadeSources):
    """The keys come from the launcher."""


class ArchiveKeyring(Target):
    alias = "archive_keyring"
    core_fields = (*COMMON_TARGET_FIELDS, KeyringSourcesField)
    help = help_text(
        f"""
        The public keys of the release, `{KEYRING}.gpg` and armored `{KEYRING}.asc`: of the key that
        signs, and of older ones that hosts shall still trust (packaging/keys/*.asc and
        BACKENDAI_EXTRA_KEYS).
        """
    )


def named(address: Address, patterns: Iterable[str]) -> bool:
    """Whether a target is among `folder::`, `folder:` or `folder:name`."""
    for pattern in patterns:
        folder, colon, name = pattern.removeprefix("//").partition(":")
        here = address.spec_path == folder
        below = here or not folder or address.spec_path.startswith(f"{folder}/")
        if (name == ":" and below) or (colon and here and name in ("", address.target_name)):
            return True
    return False


def chosen(
    targets: Iterable[Target], field_set: AptFieldSet | RpmRepositoryFieldSet, kind: Any
) -> list[Target]:
    """The targets of one format that are named; Failure when there is none."""
    patterns = field_set.packages.value
    found = [t for t in targets if kind.is_applicable(t) and named(t.address, patterns)]
    if not found:
        raise Failure(
            f"{field_set.address}: `packages` names no package of this format: {', '.join(patterns)}",
            hint="write `folder::` for everything below a folder",
        )
    return sorted(found, key=lambda target: target.address)


async def _placed(digests: Iterable[Digest], folder: str) -> list[FileEntry]:
    """Files of digests, flat in a folder."""
    entries = await Get(DigestEntries, Digest, await Get(Digest, MergeDigests(digests)))
    return [
        dataclasses.replace(entry, path=f"{folder}/{entry.path.rsplit('/', 1)[-1]}")
        for entry in entries
        if isinstance(entry, FileEntry)
    ]


async def _repository(
    top: str, packages: list[FileEntry], spec: AptSpec | RpmSpec, index: str
) -> BuiltPackage:
    """The packages in the folder `top`, and the folder `index` that a program makes of them."""
    files = await Get(Digest, CreateDigest(packages))
    process = await Get(
        Process,
        KitProcess(
            program=f"{top}_repository",
            spec=specs.text(spec),
            input_digest=files,
            output_files=(),
            output_directories=(f"{spec.output}/{index}",),
            description=f"Index and sign the {top} repository of {len(packages)} packages",
            signs=True,
        ),
    )
    result = await Get(ProcessResult, Process, process)
    made = await Get(Digest, RemovePrefix(result.output_digest, spec.output))
    whole = await Get(Digest, MergeDigests([files, made]))
    return BuiltPackage(await Get(Digest, AddPrefix(whole, top)), (BuiltPackageArtifact(top),))


@dataclass(frozen=True)
class AptFieldSet(PackageFieldSet):
    required_fields = (AptPackagesField,)

    packages: AptPackagesField


@rule(desc="Make the apt repository")
async def package_apt(
    field_set: AptFieldSet, targets: AllTargets, release: Release
) -> BuiltPackage:
    ours = chosen(targets, field_set, DebFieldSet)
    built = await MultiGet(Get(NfpmPackage, NfpmRequest(t.address, "deb")) for t in ours)
    pool = await _placed((package.digest for package in built), "pool/main/backendai")
    spec = AptSpec(
        debs={entry.path: entry.path for entry in pool},
        output="out",
        suite="stable",
        origin=release.table["release"]["name"],
        label="Backend.AI packaged",
        version=release.full_version,
        mtime=release.mtime,
    )
    return await _repository("apt", pool, spec, "dists")


@dataclass(frozen=True)
class SignedRpmRequest:
    """Ask for a package target's rpm with its signature."""

    address: Address


@dataclass(frozen=True)
class SignedRpm:
    digest: Digest


@rule(desc="Sign an rpm")
async def sign_rpm(request: SignedRpmRequest) -> SignedRpm:
    package = await Get(NfpmPackage, NfpmRequest(request.address, "rpm"))
    output = f"signed/{package.output}"
    process = await Get(
        Process,
        KitProcess(
            program="rpm_sign",
            spec=specs.text(SignSpec(rpm=package.output, output=output)),
            input_digest=package.digest,
            output_files=(output,),
            description=f"Sign {package.output}",
            signs=True,
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return SignedRpm(result.output_digest)


@dataclass(frozen=True)
class RpmRepositoryFieldSet(PackageFieldSet):
    required_fields = (RpmPackagesField,)

    packages: RpmPackagesField


@rule(desc="Make the rpm repository")
async def package_rpms(
    field_set: RpmRepositoryFieldSet, targets: AllTargets, release: Release
) -> BuiltPackage:
    ours = chosen(targets, field_set, RpmFieldSet)
    signed = await MultiGet(Get(SignedRpm, SignedRpmRequest(t.address)) for t in ours)
    placed = await _placed((rpm.digest for rpm in signed), "packages")
    rpms = {entry.path: entry.path for entry in placed}
    spec = RpmSpec(rpms=rpms, output="out", mtime=release.mtime)
    return await _repository("rpm", placed, spec, "repodata")


class KeyringRequest(GenerateSourcesRequest):
    input = KeyringSourcesField
    output = FileSourceField


@rule(desc="Write the public keys of the release")
async def write_keyring(request: KeyringRequest) -> GeneratedSources:
    environment = await Get(SigningEnvironment)
    keys = b64decode(environment.variables[KEYRING_VARIABLE])
    files = [FileContent(f"{KEYRING}.gpg", keys), FileContent(f"{KEYRING}.asc", armored(keys))]
    digest = await Get(Digest, CreateDigest(files))
    folder = request.protocol_target.address.spec_path
    return GeneratedSources(await Get(Snapshot, AddPrefix(digest, folder)))


def rules() -> Any:
    return [
        *collect_rules(),
        UnionRule(PackageFieldSet, AptFieldSet),
        UnionRule(PackageFieldSet, RpmRepositoryFieldSet),
        UnionRule(GenerateSourcesRequest, KeyringRequest),
    ]
