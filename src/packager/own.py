"""Our own Python as a wheel, and the facts and data that backendai-ctl works with on a host."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pants.core.target_types import FileSourceField
from pants.engine.fs import (
    AddPrefix,
    CreateDigest,
    Digest,
    DigestEntries,
    FileContent,
    FileEntry,
    GlobMatchErrorBehavior,
    MergeDigests,
    PathGlobs,
    RemovePrefix,
    Snapshot,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import AllTargets, GeneratedSources, GenerateSourcesRequest, Target
from pants.engine.unions import UnionRule
from pants.util.frozendict import FrozenDict

from packager.inputs import KitProcess, Lock, LockedDigest, LockedFile, LockedFiles, LockFile
from packager.release import Release
from packager.targets import (
    BackendaiWheel,
    ComponentFacts,
    ImportsField,
    RoleFacts,
    ServerFacts,
    ShareFilesField,
    ShareSourcesField,
    SummaryLineField,
    UnpackedWheelField,
    WheelDistributionField,
    WheelPackagesField,
    WheelScriptsField,
)
from packager.values import ValuesField, thaw
from releasekit import specs
from releasekit.errors import Failure
from releasekit.locks import canonical
from releasekit.own_wheel import ENDINGS, WheelSpec, file_name
from releasekit.wheel_files import FilesSpec

SOURCES = "src"


@dataclass(frozen=True)
class OwnWheel:
    """A wheel of our own as its target describes it."""

    name: str
    summary: str
    packages: tuple[str, ...]
    imports: tuple[str, ...]
    scripts: FrozenDict[str, str]

    @classmethod
    def of(cls, target: Target) -> OwnWheel:
        return cls(
            name=canonical(target[WheelDistributionField].value),
            summary=target[SummaryLineField].value,
            packages=target[WheelPackagesField].value,
            imports=target[ImportsField].value,
            scripts=FrozenDict(target[WheelScriptsField].value),
        )


@dataclass(frozen=True)
class OwnWheels:
    """All wheels of our own, by the name of their distribution."""

    by_name: FrozenDict[str, OwnWheel]

    def packages(self, version: str) -> dict[str, Any]:
        """Entries such as a lock has them, for closures."""
        return {
            name: {"version": version, "requires": list(wheel.imports), "extras": {}}
            for name, wheel in self.by_name.items()
        }


@rule(desc="Find our own wheels")
async def find_own_wheels(targets: AllTargets) -> OwnWheels:
    wheels = [OwnWheel.of(target) for target in targets if isinstance(target, BackendaiWheel)]
    return OwnWheels(FrozenDict({wheel.name: wheel for wheel in wheels}))


@rule(desc="Build our own wheel")
async def build_own_wheel(wheel: OwnWheel, release: Release) -> LockedDigest:
    sources = await Get(
        Digest,
        PathGlobs(
            [
                f"{SOURCES}/{package}/**/*.{ending}"
                for package in wheel.packages
                for ending in ENDINGS
            ],
            GlobMatchErrorBehavior.error,
            description_of_origin=f"the wheel {wheel.name}",
        ),
    )
    path = f"wheels/{file_name(wheel.name, release.version)}"
    spec = WheelSpec(
        name=wheel.name,
        version=release.version,
        summary=wheel.summary,
        homepage=release.table["release"]["homepage"],
        license=release.table["release"]["license"],
        python=release.table["python"]["version"],
        mtime=release.mtime,
        output="wheels",
        sources=SOURCES,
        packages=list(wheel.packages),
        requires=list(wheel.imports),
        scripts=dict(wheel.scripts),
    )
    process = await Get(
        Process,
        KitProcess(
            program="own_wheel",
            spec=specs.text(spec),
            input_digest=sources,
            output_files=(path,),
            description=f"Make the wheel of {wheel.name}",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return LockedDigest(result.output_digest, (path,))


class ShareRequest(GenerateSourcesRequest):
    input = ShareSourcesField
    output = FileSourceField


def host_facts(release: Release) -> dict[str, Any]:
    """What backendai-ctl must know of the release: versions, the user, paths."""
    facts: dict[str, Any] = {
        "version": release.version,
        "full_version": release.full_version,
        "user": release.table["user"],
        "paths": release.paths,
    }
    return facts


def as_json(facts: dict[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1) + "\n").encode()


def fact_files(targets: AllTargets, release: Release) -> tuple[list[FileContent], dict[str, str]]:
    """The files of facts, and templates of components and servers: where they lie, what they become."""
    roles = [thaw(target[ValuesField].value) for target in targets if isinstance(target, RoleFacts)]
    files = [
        FileContent("release.json", as_json(host_facts(release))),
        FileContent("roles.json", as_json({"roles": sorted(roles, key=lambda role: role["name"])})),
    ]
    templates = {}
    described = [one for one in targets if isinstance(one, (ComponentFacts, ServerFacts))]
    rows = (thaw(one[ValuesField].value) for one in described)
    services = {row["name"]: row["ports"] for row in rows}
    for target in described:
        facts = thaw(target[ValuesField].value)
        refuse_unknown(str(target.address), facts, services)
        folder = "servers" if isinstance(target, ServerFacts) else "components"
        files.append(FileContent(f"{folder}/{facts['name']}.json", as_json(facts)))
        for name in (f"{config}.j2" for config in facts.get("templates", [facts["config"]])):
            templates[posixpath.join(target.address.spec_path, name)] = f"templates/{name}"
    return files, templates


def refuse_unknown(
    where: str, facts: Mapping[str, Any], services: Mapping[str, Mapping[str, int]]
) -> None:
    """Failure if a service, declared at `where`, names a server or port that no BUILD file has.

    `services`: {name: ports}.
    """
    known = [f"{name}:{port}" for name, ports in services.items() for port in ports]
    ports = list(facts["ports"])
    for field, named, there in (
        ("uses", facts.get("uses", ()), services),
        ("calls", facts.get("calls", ()), known),
        ("serves", facts.get("serves", ()), ports),
        ("etcd_keys", facts.get("etcd_keys", {}).values(), ("read", "write", "own")),
    ):
        if wrong := [name for name in named if name not in there]:
            near = get_close_matches(wrong[0], there, n=1)
            raise Failure(
                f"{where}: `{field}` names `{wrong[0]}`, which is not there",
                hint=f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(there))}",
            )


@rule(desc="Gather what backendai-ctl works with")
async def gather_share(
    request: ShareRequest, targets: AllTargets, release: Release
) -> GeneratedSources:
    target = request.protocol_target
    lock = await Get(Lock, LockFile("python"))
    name = canonical(target[UnpackedWheelField].value)
    if name not in lock.data.get("unpacked", {}):
        raise Failure(
            f"{target.address}: packaging/locks/python.lock has no `{name}` among `unpacked`",
            hint="renew it with scripts/lock-python",
        )
    wheel = LockedFile.of(lock.data["unpacked"][name])
    files = dict(target[ShareFilesField].value)
    texts, templates = fact_files(targets, release)
    made, found, fetched = await MultiGet(
        Get(Digest, CreateDigest(texts)),
        Get(DigestEntries, PathGlobs(sorted(templates))),
        Get(LockedDigest, LockedFiles((wheel,), "wheel")),
    )
    spec = FilesSpec(
        wheel=fetched.paths[0],
        output="out",
        files={pattern: f"share/{folder}" for pattern, folder in files.items()},
    )
    process = await Get(
        Process,
        KitProcess(
            program="wheel_files",
            spec=specs.text(spec),
            input_digest=fetched.digest,
            output_files=("out/licenses.json",),
            output_directories=("out/share",),
            description=f"Take files out of {wheel.filename}",
        ),
    )
    result, placed = await MultiGet(
        Get(ProcessResult, Process, process),
        Get(
            Digest,
            CreateDigest(
                FileEntry(templates[entry.path], entry.file_digest)
                for entry in found
                if isinstance(entry, FileEntry)
            ),
        ),
    )
    facts = await Get(Digest, MergeDigests([made, placed]))
    below = await Get(Digest, AddPrefix(facts, "share"))
    taken = await Get(Digest, RemovePrefix(result.output_digest, "out"))
    whole = await Get(Digest, MergeDigests([below, taken]))
    return GeneratedSources(await Get(Snapshot, AddPrefix(whole, target.address.spec_path)))


def rules() -> Any:
    return [*collect_rules(), UnionRule(GenerateSourcesRequest, ShareRequest)]
