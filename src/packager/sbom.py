"""What a security officer reads: SBOM, provenance, licences, and what hosts lack."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from typing import Any

import toml
from pants.core.goals.package import (
    BuiltPackage,
    BuiltPackageArtifact,
    OutputPathField,
    PackageFieldSet,
)
from pants.engine.fs import (
    EMPTY_DIGEST,
    AddPrefix,
    CreateDigest,
    Digest,
    DigestContents,
    DigestEntries,
    FileContent,
    FileEntry,
    GlobMatchErrorBehavior,
    MergeDigests,
    PathGlobs,
    RemovePrefix,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    AllTargets,
    SpecialCasedDependencies,
    StringField,
    Target,
)
from pants.engine.unions import UnionRule
from pants.option.option_types import StrOption
from pants.option.subsystem import Subsystem
from pants.util.strutil import help_text

from packager.drift import used_entry
from packager.inputs import KitProcess, Lock, LockFile
from packager.inventory import Artefacts, GatheredInventory, InventoryRequest, release_row
from packager.nfpm import fields as f
from packager.nfpm.rules import RpmFieldSet
from packager.options import Packager
from packager.parts import Parts, PartsRequest
from packager.release import Release
from releasekit import closure_report, provenance
from releasekit.errors import Failure

EL_TABLE = "packaging/bases/el.toml"
LICENCE_TEXTS = "packaging/licenses"
TOOLS = ("nfpm", "patchelf", "pex")  # of tools.lock, group build
# What reads the CycloneDX schema: python files beside JSON files, and native code.
LIBRARIES = (
    *("arrow", "attrs", "boolean-py", "cyclonedx-python-lib", "defusedxml", "fqdn", "idna"),
    *("isoduration", "jsonpointer", "jsonschema", "jsonschema-specifications", "lark"),
    *("license-expression", "packageurl-python", "py-serializable", "python-dateutil"),
    *("referencing", "rfc3339-validator", "rfc3986-validator", "rfc3987-syntax", "rpds-py", "six"),
    *("sortedcontainers", "tzdata", "uri-template", "webcolors"),
)


class Source(Subsystem):
    """Apart from `backendai`: a new commit asks for nothing anew but the provenance."""

    options_scope = "backendai-source"
    help = "What is built. `./pants` sets it."

    commit = StrOption(default="unknown", help="The commit; `-dirty` at its end: with changes.")
    tree = StrOption(default="unknown", help="The tree of that commit.")


class CarriedSetField(StringField):
    alias = "carried"
    default = "services"
    help = "The set of packaging/locks/debian.lock that the apt repository carries."


class RepositoriesField(SpecialCasedDependencies):
    alias = "repositories"
    help = "Repositories whose signed rpms are stated too."


class ReleaseSbom(Target):
    alias = "release_sbom"
    core_fields = (*COMMON_TARGET_FIELDS, CarriedSetField, RepositoriesField, OutputPathField)
    help = help_text(
        """
        The folders sbom, provenance, licenses and closure of a release: CycloneDX for every package
        and for the whole, SLSA provenance, licence texts, and what hosts lack.
        """
    )


@dataclass(frozen=True)
class SbomFieldSet(PackageFieldSet):
    required_fields = (CarriedSetField, RepositoriesField)

    carried: CarriedSetField
    repositories: RepositoriesField
    output_path: OutputPathField


@dataclass(frozen=True)
class Documents:
    """One program's folder, made from the inventory."""

    program: str
    folder: str
    inventory: GatheredInventory
    unpacked: tuple[str, ...] = ()
    texts: Digest = EMPTY_DIGEST  # standard licence texts, in `standard/`


@rule
async def write_documents(request: Documents) -> Digest:
    process = await Get(
        Process,
        KitProcess(
            program=request.program,
            spec=request.inventory.spec,
            input_digest=await Get(Digest, MergeDigests([request.inventory.digest, request.texts])),
            output_files=(),
            output_directories=(request.folder,),
            unpacked=request.unpacked,
            description=f"Write the folder {request.folder}",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return result.output_digest


@dataclass(frozen=True)
class SignedRpms:
    """Ask for the rpms of repositories, which are signed; `subjects` of the provenance."""

    repositories: RepositoriesField


@dataclass(frozen=True)
class Subjects:
    """Rows of (path in the bundle, sha256, size)."""

    rows: tuple[tuple[str, str, int], ...]


@rule
async def signed_rpms(request: SignedRpms) -> Subjects:
    parts = await Get(Parts, PartsRequest(request.repositories))
    lists = await MultiGet(Get(DigestEntries, Digest, part.digest) for part in parts.packages)
    return Subjects(
        tuple(
            (
                entry.path,
                entry.file_digest.fingerprint,
                entry.file_digest.serialized_bytes_length,
            )
            for entries in lists
            for entry in entries
            if isinstance(entry, FileEntry) and entry.path.endswith(".rpm")
        )
    )


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
    names = ("debian", "npm", "python", "tools")
    parsed = await MultiGet(Get(Lock, LockFile(name)) for name in names)
    signed = await Get(Subjects, SignedRpms(request.repositories))
    locks = {lock.name: lock.data for lock in parsed}
    used = {
        key: used_entry(packager.cache, entry) for key, entry in locks["debian"]["packages"].items()
    }
    files = [row for rows in artefacts.of_packages().values() for row in rows]
    subjects = [
        provenance.subject(row["path"], row["sha256"]) for row in [*files, *artefacts.of_pexes()]
    ]
    subjects += [
        provenance.subject(path, sha256, unsigned=posixpath.basename(path))
        for path, sha256, _ in signed.rows
    ]
    groups = locks["tools"]["groups"]
    versions = {
        "cpython": locks["debian"]["packages"]["trixie/python3.13"]["version"],
        "pants": groups["pants"]["packages"]["pantsbuild-pants"]["version"],
        **{name: groups["build"]["packages"][name]["version"] for name in TOOLS},
    }
    made = provenance.statement(
        release=release_row(release),
        commit=source.commit,
        tree=source.tree,
        subjects=subjects,
        dependencies=provenance.locked(locks, used),
        versions=versions,
    )
    return Folder(await Get(Digest, CreateDigest([_json("provenance/release.intoto.json", made)])))


@dataclass(frozen=True)
class ClosureReport:
    """Ask for the folder `closure`."""

    carried: str


@rule(desc="Report what hosts lack")
async def report_closure(
    request: ClosureReport, targets: AllTargets, release: Release, packager: Packager
) -> Folder:
    lock, tables = await MultiGet(
        Get(Lock, LockFile("debian")),
        Get(
            DigestContents,
            PathGlobs(
                [EL_TABLE],
                GlobMatchErrorBehavior.error,
                description_of_origin="the closure report",
            ),
        ),
    )
    if "closure" not in lock.data:
        raise Failure("packaging/locks/debian.lock: no `closure`", hint="run scripts/lock-debian")
    keys = lock.data["sets"][request.carried]
    entries = {
        key.split("/", 1)[1]: used_entry(packager.cache, lock.data["packages"][key]) for key in keys
    }
    relations = {
        "depends": f.DependsField,
        "recommends": f.RecommendsField,
        "suggests": f.SuggestsField,
    }
    asked = sorted(
        (target[f.PackageNameField].value or "", relation, theirs)
        for target in targets
        if RpmFieldSet.is_applicable(target)
        for relation, field in relations.items()
        for theirs in target[field].value or ()
    )
    table = toml.loads(tables[0].content.decode())
    data = closure_report.report(
        release=release.full_version,
        suite=keys[0].split("/", 1)[0],
        closure=lock.data["closure"],
        entries=entries,
        el=closure_report.enterprise_linux(table, asked),
    )
    text = closure_report.text(data).encode()
    files = [_json("closure/report.json", data), FileContent("closure/report.txt", text)]
    return Folder(await Get(Digest, CreateDigest(files)))


def _json(path: str, data: Any) -> FileContent:
    return FileContent(path, (json.dumps(data, indent=1) + "\n").encode())


@rule(desc="Write SBOM, provenance, licences and the closure report")
async def package_sbom(field_set: SbomFieldSet) -> BuiltPackage:
    carried = field_set.carried.value or ""
    signed = await Get(Subjects, SignedRpms(field_set.repositories))
    inventory = await Get(GatheredInventory, InventoryRequest(carried, signed.rows))
    found = await Get(
        Digest,
        PathGlobs(
            [f"{LICENCE_TEXTS}/*.txt"],
            GlobMatchErrorBehavior.error,
            description_of_origin="the licence texts",
        ),
    )
    plain = await Get(Digest, RemovePrefix(found, LICENCE_TEXTS))
    texts = await Get(Digest, AddPrefix(plain, "standard"))
    sbom, licences, origin, report = await MultiGet(
        Get(Digest, Documents("sbom", "sbom", inventory, LIBRARIES)),
        Get(Digest, Documents("licence_index", "licenses", inventory, texts=texts)),
        Get(Folder, ProvenanceRequest(field_set.repositories)),
        Get(Folder, ClosureReport(carried)),
    )
    digest = await Get(Digest, MergeDigests([sbom, licences, origin.digest, report.digest]))
    results = ("sbom", "provenance", "licenses", "closure")
    return BuiltPackage(digest, tuple(BuiltPackageArtifact(name) for name in results))


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, SbomFieldSet)]
