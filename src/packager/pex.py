"""One self-contained PEX per component.

The pex tool is given the exact wheels of the component's closure and resolves nothing: a wheel that
changes in the lock touches only the PEXes that hold it, and no index is asked.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.core.goals.run import RunFieldSet, RunInSandboxBehavior, RunRequest
from pants.engine.fs import CreateDigest, Digest, DigestEntries, FileEntry, MergeDigests
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.unions import UnionRule

from packager.inputs import BuiltTool, Lock, LockedDigest, LockedFile, LockedFiles, LockFile
from packager.options import Packager
from packager.release import Release
from packager.targets import DistributionsField, PexOutputField
from releasekit.closure import closure
from releasekit.locks import split_requirement


@dataclass(frozen=True)
class PexFieldSet(PackageFieldSet, RunFieldSet):
    required_fields = (DistributionsField, PexOutputField)
    run_in_sandbox_behavior = RunInSandboxBehavior.NOT_SUPPORTED

    distributions: DistributionsField
    output_path: PexOutputField

    @property
    def output(self) -> str:
        return self.output_path.value_or_default(file_ending="pex")


@dataclass(frozen=True)
class ComponentPex:
    """Ask for a component's PEX, at `output` of the digest."""

    distributions: tuple[str, ...]
    output: str
    wanted_by: str


@rule(desc="Build a PEX")
async def build_pex(request: ComponentPex, packager: Packager, release: Release) -> Digest:
    lock = await Get(Lock, LockFile("python"))
    packages = lock.data["packages"]
    names = sorted(closure(packages, request.distributions, wanted_by=request.wanted_by))
    wheels, tool = await MultiGet(
        Get(LockedDigest, LockedFiles(tuple(LockedFile.of(packages[n]) for n in names), "wheels")),
        Get(LockedDigest, BuiltTool("pex")),
    )
    inputs = await Get(Digest, MergeDigests([wheels.digest, tool.digest]))
    roots = [split_requirement(root)[0] for root in request.distributions]
    version = release.table["python"]["version"]
    # fmt: off
    argv = (
        packager.python, tool.paths[0],
        *roots,
        "--script", "backend.ai",
        "--pre-resolved-dists", "wheels",
        "--no-index",
        "--no-build",
        "--pex-root", ".pex_root",
        "--python-path", posixpath.dirname(packager.python),
        "--interpreter-constraint", f"CPython=={version}.*",
        "--python-shebang", f"/usr/bin/env python{version}",
        "--output-file", "out/component.pex",
    )
    # fmt: on
    result = await Get(
        ProcessResult,
        Process(
            argv=argv,
            description=f"Build {request.output} from {len(names)} wheels",
            input_digest=inputs,
            output_files=("out/component.pex",),
            append_only_caches={"backendai_pex_root": ".pex_root"},
            env={
                "PATH": posixpath.dirname(packager.python),
                "PYTHONHASHSEED": "0",
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
            },
        ),
    )
    return result.output_digest


@rule
async def package_pex(field_set: PexFieldSet) -> BuiltPackage:
    output = field_set.output
    request = ComponentPex(field_set.distributions.value, output, str(field_set.address))
    digest = await Get(Digest, ComponentPex, request)
    # The process knows no name, so that components made of the same distributions share one build.
    entries = await Get(DigestEntries, Digest, digest)
    file = next(entry for entry in entries if isinstance(entry, FileEntry))
    renamed = await Get(
        Digest, CreateDigest([FileEntry(output, file.file_digest, is_executable=True)])
    )
    return BuiltPackage(renamed, (BuiltPackageArtifact(output),))


@rule
async def run_pex(field_set: PexFieldSet, packager: Packager) -> RunRequest:
    """`./pants run FOLDER:pex -- WORDS`, on the Python that built it."""
    built = await Get(BuiltPackage, PackageFieldSet, field_set)
    path = built.artifacts[0].relpath
    return RunRequest(digest=built.digest, args=(packager.python, f"{{chroot}}/{path}"))


def rules() -> Any:
    return [
        *collect_rules(),
        *PexFieldSet.rules(),
        UnionRule(PackageFieldSet, PexFieldSet),
    ]
