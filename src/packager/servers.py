"""Trees of servers: programs of Debian that run on the runtime's loader and libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pants.engine.fs import Digest, DigestSubset, PathGlobs
from pants.engine.process import Process
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import AllTargets, Target

from packager.drift import Debs, DebsRequest
from packager.inputs import BuiltTool, Lock, LockedDigest, LockFile
from packager.release import Release
from packager.targets import (
    DebianPackagesField,
    DebianSetField,
    LeftOutField,
    PackageField,
    RuntimeSourceField,
    TreeDataField,
    TreeLibrariesField,
    TreeLinksField,
    TreePrefixField,
    TreeProgramsField,
)
from packager.trees import BuiltTree, ServerTree, TreeRequest, debian_process, debian_spec
from releasekit.errors import Failure
from releasekit.server_tree import ServerSpec


def check_set(target: Target, sets: Mapping[str, Sequence[str]]) -> None:
    """Raise Failure unless the lock's set is what the BUILD file asks for; sets: {name: SUITE/PACKAGE}."""
    locked = {key.split("/", 1)[1] for key in sets.get(target[DebianSetField].value, ())}
    asked = set(target[DebianPackagesField].value)
    if locked != asked:
        raise Failure(
            f"{target.address}: `debian` and packaging/locks/debian.lock differ: "
            f"{', '.join(sorted(locked ^ asked))}",
            hint="run scripts/lock-debian",
        )


async def _runtime_facts(targets: AllTargets) -> tuple[Digest, str]:
    """`tree.json` of the runtime, and its path: all that a server's tree must know of it."""
    runtime = next(t.address for t in targets if t.has_field(RuntimeSourceField))
    tree = await Get(BuiltTree, TreeRequest(runtime))
    path = f"trees/{tree.package}/tree.json"
    return await Get(Digest, DigestSubset(tree.digest, PathGlobs([path]))), path


@rule
async def server_process(request: ServerTree, targets: AllTargets, release: Release) -> Process:
    target = request.target
    lock = await Get(Lock, LockFile("debian"))
    check_set(target, lock.data["sets"])
    debs, patchelf = await MultiGet(
        Get(Debs, DebsRequest(target[DebianSetField].value)),
        Get(LockedDigest, BuiltTool("patchelf")),
    )
    facts, facts_path = await _runtime_facts(targets)
    package = target[PackageField].value
    prefix = release.fill(target[TreePrefixField].value)
    spec = ServerSpec(
        **debian_spec(package, prefix, release, debs, patchelf),
        runtime=release.paths["runtime"],
        runtime_tree=facts_path,
        programs=list(target[TreeProgramsField].value),
        data=list(target[TreeDataField].value),
        libraries=list(target[TreeLibrariesField].value),
        links=dict(target[TreeLinksField].value),
        left_out=dict(target[LeftOutField].value),
    )
    return await debian_process("server_tree", spec, debs.digest, patchelf.digest, facts)


def rules() -> Any:
    return collect_rules()
