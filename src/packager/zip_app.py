"""A Python program as one file, for machines that have nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import (
    BuiltPackage,
    BuiltPackageArtifact,
    OutputPathField,
    PackageFieldSet,
)
from pants.engine.fs import (
    AddPrefix,
    Digest,
    GlobMatchErrorBehavior,
    PathGlobs,
    RemovePrefix,
    Snapshot,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, collect_rules, rule
from pants.engine.target import COMMON_TARGET_FIELDS, Target
from pants.engine.unions import UnionRule
from pants.util.strutil import help_text

from packager.fields import RequiredString, RequiredStrings
from packager.inputs import KitProcess
from packager.release import Release
from releasekit import specs
from releasekit.zip_app import ZipSpec

ROOT = "src"


class ZipFilesField(RequiredStrings):
    alias = "files"
    help = f"Paths or globs below {ROOT}/: its modules, and the files that they read."


class ZipMainField(RequiredString):
    alias = "main"
    help = "MODULE:FUNCTION that it starts with."


class ZipApp(Target):
    alias = "zip_app"
    core_fields = (*COMMON_TARGET_FIELDS, ZipFilesField, ZipMainField, OutputPathField)
    help = help_text(
        """
        A Python program of this repository as one file that any machine with Python runs. It may import
        nothing but the standard library and its own modules.
        """
    )


@dataclass(frozen=True)
class ZipAppFieldSet(PackageFieldSet):
    required_fields = (ZipFilesField, ZipMainField)

    files: ZipFilesField
    main: ZipMainField
    output_path: OutputPathField


@rule(desc="Make one file of a Python program")
async def package_zip_app(field_set: ZipAppFieldSet, release: Release) -> BuiltPackage:
    found = await Get(
        Snapshot,
        PathGlobs(
            [f"{ROOT}/{name}" for name in field_set.files.value],
            GlobMatchErrorBehavior.error,
            description_of_origin=str(field_set.address),
        ),
    )
    output = field_set.output_path.value_or_default(file_ending="pyz")
    below = await Get(Digest, RemovePrefix(found.digest, ROOT))
    spec = ZipSpec(
        root="app",
        files=[path[len(ROOT) + 1 :] for path in found.files],
        main=field_set.main.value,
        output=output,
        mtime=release.mtime,
    )
    process = await Get(
        Process,
        KitProcess(
            program="zip_app",
            spec=specs.text(spec),
            input_digest=await Get(Digest, AddPrefix(below, spec.root)),
            output_files=(output,),
            description=f"Make {output} of {len(spec.files)} files",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return BuiltPackage(result.output_digest, (BuiltPackageArtifact(output),))


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, ZipAppFieldSet)]
