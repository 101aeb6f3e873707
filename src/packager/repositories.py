"""The repositories of a release: apt_repository and rpm_repository, and the keys that hosts trust.

Package files never pass through a repository's process: it writes the index, and the files join it
as they are. Only a signed rpm is a new file, made by a process of its own.
"""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import (
    BuiltPackage,
    BuiltPackageArtifact,
    OutputPathField,
    PackageFieldSet,
)
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
    Snapshot,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    AllTargets,
    GeneratedSources,
    GenerateSourcesRequest,
    MultipleSourcesField,
    StringField,
    StringSequenceField,
    Target,
)
from pants.engine.unions import UnionRule
from pants.util.strutil import help_text

from packager.drift import Debs, DebsRequest
from packager.inputs import KitProcess, SigningEnvironment
from packager.nfpm.fields import DebOutputField, RpmOutputField
from packager.nfpm.rules import DebFieldSet, NfpmPackage, NfpmRequest, RpmFieldSet
from packager.release import Release
from releasekit.errors import Failure
from releasekit.signing import KEYRING as KEYRING_VARIABLE
from releasekit.signing import armored

KEYRING = "backendai-archive-keyring"


class RepositoryPackagesField(StringSequenceField):
    alias = "packages"
    required = True
    help = help_text(
        """
        Which package targets are in it: addresses, `folder:` for those of one folder, `folder::` for
        those below it too. Targets of other kinds are passed over.
        """
    )


class DebianSetsField(StringSequenceField):
    alias = "debian_sets"
    default = ()
    help = "Sets of packaging/locks/debian.lock whose packages are in it too."


class SuiteField(StringField):
    alias = "suite"
    default = "stable"
    help = "The suite, and code name, that hosts name in their source."


class LabelField(StringField):
    alias = "label"
    default = "Backend.AI packaged"
    help = "The repository's label, for people and for pinning."


class AptRepository(Target):
    alias = "apt_repository"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        RepositoryPackagesField,
        DebianSetsField,
        SuiteField,
        LabelField,
        OutputPathField,
    )
    help = "A signed apt repository in dist/apt: pool and index."


class RpmIndexField(StringField):
    alias = "folder"
    default = "packages"
    help = "The folder of the packages inside the repository."


class RpmRepository(Target):
    alias = "rpm_repository"
    core_fields = (*COMMON_TARGET_FIELDS, RepositoryPackagesField, RpmIndexField, OutputPathField)
    help = "A signed rpm repository in dist/rpm: signed packages and repodata."


class KeyringSourcesField(MultipleSourcesField):
    """Always empty: the keys come from the launcher."""

    alias = "_sources"
    default = ()
    expected_num_files = 0
    uses_source_roots = False


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


def chosen(targets: Iterable[Target], patterns: Iterable[str], kind: Any, where: str) -> list[Any]:
    """The targets of one format that are named; Failure when there is none."""
    patterns = tuple(patterns)
    found = [t for t in targets if kind.is_applicable(t) and named(t.address, patterns)]
    if not found:
        raise Failure(
            f"{where}: `packages` names no package of this format: {', '.join(patterns)}",
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


async def _repository(process: Process, files: Digest, top: str) -> BuiltPackage:
    """What the process made in out/, beside the packages, in the folder `top`."""
    result = await Get(ProcessResult, Process, process)
    made = await Get(DigestEntries, Digest, result.output_digest)
    index = [
        dataclasses.replace(entry, path=entry.path.removeprefix("out/"))
        for entry in made
        if isinstance(entry, FileEntry)
    ]
    whole = await Get(Digest, MergeDigests([files, await Get(Digest, CreateDigest(index))]))
    return BuiltPackage(await Get(Digest, AddPrefix(whole, top)), (BuiltPackageArtifact(top),))


@dataclass(frozen=True)
class AptFieldSet(PackageFieldSet):
    required_fields = (RepositoryPackagesField, DebianSetsField)

    packages: RepositoryPackagesField
    debian_sets: DebianSetsField
    suite: SuiteField
    label: LabelField
    output_path: OutputPathField


@rule(desc="Make the apt repository")
async def package_apt(
    field_set: AptFieldSet, targets: AllTargets, release: Release
) -> BuiltPackage:
    top = field_set.output_path.value or "apt"
    patterns = field_set.packages.value or ()
    ours = chosen(targets, patterns, DebFieldSet, str(field_set.address))
    built = await MultiGet(
        Get(NfpmPackage, NfpmRequest(t.address, "deb", t[DebOutputField].value)) for t in ours
    )
    sets = await MultiGet(
        Get(Debs, DebsRequest(name)) for name in field_set.debian_sets.value or ()
    )
    pool = await _placed((package.digest for package in built), "pool/main/backendai")
    pool += await _placed((debs.digest for debs in sets), "pool/main/debian")
    spec = {
        "debs": {entry.path: entry.path for entry in pool},
        "output": "out",
        "suite": field_set.suite.value,
        "origin": release.table["release"]["name"],
        "label": field_set.label.value,
        "version": release.full_version,
        "mtime": release.mtime,
    }
    files = await Get(Digest, CreateDigest(pool))
    process = await Get(
        Process,
        KitProcess(
            program="apt_repository",
            spec=json.dumps(spec, indent=1, sort_keys=True),
            input_digest=files,
            output_files=(),
            output_directories=("out/dists",),
            description=f"Index and sign an apt repository of {len(pool)} packages",
            signs=True,
        ),
    )
    return await _repository(process, files, top)


@dataclass(frozen=True)
class SignedRpmRequest:
    """Ask for a package target's rpm with its signature."""

    address: Address
    output_path: str | None


@dataclass(frozen=True)
class SignedRpm:
    digest: Digest


@rule(desc="Sign an rpm")
async def sign_rpm(request: SignedRpmRequest) -> SignedRpm:
    package = await Get(NfpmPackage, NfpmRequest(request.address, "rpm", request.output_path))
    output = f"signed/{package.output}"
    process = await Get(
        Process,
        KitProcess(
            program="rpm_sign",
            spec=json.dumps({"rpm": package.output, "output": output}),
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
    required_fields = (RepositoryPackagesField, RpmIndexField)

    packages: RepositoryPackagesField
    folder: RpmIndexField
    output_path: OutputPathField


@rule(desc="Make the rpm repository")
async def package_rpms(
    field_set: RpmRepositoryFieldSet, targets: AllTargets, release: Release
) -> BuiltPackage:
    top = field_set.output_path.value or "rpm"
    patterns = field_set.packages.value or ()
    ours = chosen(targets, patterns, RpmFieldSet, str(field_set.address))
    signed = await MultiGet(
        Get(SignedRpm, SignedRpmRequest(t.address, t[RpmOutputField].value)) for t in ours
    )
    placed = await _placed((rpm.digest for rpm in signed), field_set.folder.value or "packages")
    files = await Get(Digest, CreateDigest(placed))
    spec = {
        "rpms": {entry.path: entry.path for entry in placed},
        "output": "out",
        "mtime": release.mtime,
    }
    process = await Get(
        Process,
        KitProcess(
            program="rpm_repository",
            spec=json.dumps(spec, indent=1, sort_keys=True),
            input_digest=files,
            output_files=(),
            output_directories=("out/repodata",),
            unpacked=("createrepo-c",),
            description=f"Index and sign an rpm repository of {len(placed)} packages",
            signs=True,
        ),
    )
    return await _repository(process, files, top)


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
