"""From the dependencies of a package to what nfpm is told to install."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

from pants.core.target_types import FileSourceField
from pants.core.util_rules.source_files import SourceFiles, SourceFilesRequest
from pants.engine.fs import Digest, MergeDigests
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import DependenciesRequest, SourcesField, Target, Targets
from pants.util.frozendict import FrozenDict

from packager.nfpm import fields as f
from packager.nfpm.targets import NfpmContentFile, NfpmContentFolder, NfpmContentSymlink
from packager.release import Release
from packager.targets import PackageField
from packager.trees import BuiltTree, TreeRequest
from releasekit.errors import Failure

KINDS = (NfpmContentFile, NfpmContentFolder, NfpmContentSymlink)


@dataclass(frozen=True)
class ContentsRequest:
    """Ask for what the dependencies of a package target install."""

    dependencies: f.NfpmDependencies


@dataclass(frozen=True)
class Contents:
    """Entries for releasekit.nfpm, and a digest with the trees and files they name."""

    digest: Digest
    trees: tuple[BuiltTree, ...]
    entries: tuple[FrozenDict[str, Any], ...]
    files: tuple[str, ...]


def produced(spec_path: str, src: str, files: tuple[str, ...], *, asked_by: str) -> str:
    """The path of a produced file named relative to a BUILD file; Failure lists what there is."""
    path = posixpath.join(spec_path, src)
    if path not in files:
        raise Failure(
            f"{asked_by}: no dependency produces `{src}`",
            hint=f"its dependencies produce: {', '.join(sorted(files)) or 'nothing'}",
        )
    return path


def absolute(target: Target, release: Release) -> str:
    dst = release.fill(target[f.ContentDstField].value)
    if not dst.startswith("/"):
        raise Failure(
            f"{target.address}: `dst` {dst!r} is not an absolute path", hint="start it with /"
        )
    return dst


def file_entry(dst: str, src: str) -> FrozenDict[str, Any]:
    return FrozenDict({"dst": dst, "src": src, "type": "", "mode": 0o644})


def entries(target: Target, files: tuple[str, ...], release: Release) -> list[FrozenDict[str, Any]]:
    """The entries of one nfpm_content_* target; of a folder: itself and all files produced in it."""
    dst = absolute(target, release)
    if isinstance(target, NfpmContentSymlink):
        src = release.fill(target[f.ContentSrcField].value)
        return [FrozenDict({"dst": dst, "src": src, "type": "symlink"})]
    folder, asked_by = target.address.spec_path, str(target.address)
    if isinstance(target, NfpmContentFile):
        return [
            file_entry(
                dst, produced(folder, target[f.ContentSrcField].value, files, asked_by=asked_by)
            )
        ]
    top = posixpath.join(folder, target[f.FolderSrcField].value)
    inside = [path for path in files if path.startswith(f"{top}/")]
    if not inside:
        raise Failure(
            f"{asked_by}: no dependency produces a file in `{top}`",
            hint=f"its dependencies produce: {', '.join(sorted(files)) or 'nothing'}",
        )
    made = [FrozenDict({"dst": dst, "type": "dir", "mode": 0o755})]
    return [*made, *(file_entry(f"{dst}{path[len(top) :]}", path) for path in inside)]


@rule
async def package_contents(request: ContentsRequest, release: Release) -> Contents:
    targets = await Get(Targets, DependenciesRequest(request.dependencies))
    contents = [t for t in targets if isinstance(t, KINDS)]
    below = await MultiGet(
        Get(Targets, DependenciesRequest(t[f.ContentDependencies]))
        for t in contents
        if t.has_field(f.ContentDependencies)
    )
    producers = {t.address: t for group in (targets, *below) for t in group}
    sources = await Get(
        SourceFiles,
        SourceFilesRequest(
            (
                t.get(SourcesField)
                for _, t in sorted(producers.items())
                if t.has_field(SourcesField)
            ),
            for_sources_types=(FileSourceField,),
            enable_codegen=True,
        ),
    )
    trees = await MultiGet(
        Get(BuiltTree, TreeRequest(t.address)) for t in targets if t.has_field(PackageField)
    )
    digest = await Get(
        Digest, MergeDigests([sources.snapshot.digest, *(tree.digest for tree in trees)])
    )
    files = sources.snapshot.files
    rows = tuple(row for t in contents for row in entries(t, files, release))
    return Contents(digest, tuple(trees), rows, files)


def rules() -> Any:
    return collect_rules()
