"""The release page: what is in the parts of the bundle, for a browser without a network."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import (
    BuiltPackage,
    BuiltPackageArtifact,
    PackageFieldSet,
)
from pants.engine.fs import (
    Digest,
    DigestEntries,
    DigestSubset,
    FileEntry,
    MergeDigests,
    PathGlobs,
    RemovePrefix,
    Snapshot,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    SpecialCasedDependencies,
    StringField,
    Target,
)
from pants.engine.unions import UnionRule
from pants.util.strutil import help_text

from packager.inputs import KitProcess
from packager.options import Signing
from packager.parts import Parts, PartsRequest
from packager.release import Release

FOLDER = "report"
RESULTS = ("index.html", "summary.json")
# What of the parts the page is made from; of everything else it shows size and sha256.
PACKAGES = "apt/dists/stable/main/binary-amd64/Packages"
LICENSES = "licenses/index.json"
CLOSURE = "closure/report.json"


class ReportPartsField(SpecialCasedDependencies):
    alias = "parts"
    required = True
    help = "The targets whose results are in the bundle: repositories, SBOM."


class ReportTemplatesField(StringField):
    alias = "templates"
    default = "packaging/report"
    help = "The folder of the page's template, style and script."


class ReportPreviousField(StringField):
    alias = "previous"
    default = "packaging/previous-release.json"
    help = help_text(
        """
        The `report/summary.json` of the release before, which the page compares with. When there is
        no such file, the page says that this is the first release.
        """
    )


class ReportReproducibilityField(StringField):
    alias = "reproducibility"
    default = "packaging/reproducibility.json"
    help = "What `scripts/reproduce --record` wrote. Without the file the page says: not measured."


class ReportExposureField(StringField):
    alias = "exposure"
    default = "packaging/exposure.json"
    help = help_text(
        """
        The exposure scores of the units, which the scenarios on hosts hold against what they measure.
        Without the file the page says: not measured.
        """
    )


class ReleaseReport(Target):
    alias = "release_report"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        ReportPartsField,
        ReportTemplatesField,
        ReportPreviousField,
        ReportReproducibilityField,
        ReportExposureField,
    )
    help = "The release page, dist/report/index.html: one file that needs no other and no network."


@dataclass(frozen=True)
class ReportFieldSet(PackageFieldSet):
    required_fields = (ReportPartsField,)

    parts: ReportPartsField
    templates: ReportTemplatesField
    previous: ReportPreviousField
    reproducibility: ReportReproducibilityField
    exposure: ReportExposureField


def facts(release: Release) -> dict[str, Any]:
    """What the page says of the release as a whole."""
    table = release.table["release"]
    log = release.table.get("changelog") or [{"changes": []}]
    return {
        "name": table["name"],
        "version": release.full_version,
        "number": table["number"],
        "date": table["date"],
        "homepage": table["homepage"],
        "architecture": "amd64",
        "changes": list(log[0]["changes"]),
    }


def listed(entries: Iterable[Any]) -> list[list[Any]]:
    """Path, size in bytes and sha256 of every file, sorted by path."""
    return sorted(
        [e.path, e.file_digest.serialized_bytes_length, e.file_digest.fingerprint]
        for e in entries
        if isinstance(e, FileEntry)
    )


@rule(desc="Make the release page")
async def make_report(
    field_set: ReportFieldSet, release: Release, signing: Signing
) -> BuiltPackage:
    found = await Get(Parts, PartsRequest(field_set.parts))
    parts = await Get(Digest, MergeDigests(part.digest for part in found.packages))
    templates = field_set.templates.value or ""
    optional = {
        "previous": field_set.previous.value or "",
        "reproducibility": field_set.reproducibility.value or "",
        "exposure": field_set.exposure.value or "",
    }
    entries, read, data = await MultiGet(
        Get(DigestEntries, Digest, parts),
        Get(Snapshot, DigestSubset(parts, PathGlobs([PACKAGES, LICENSES, CLOSURE]))),
        Get(Snapshot, PathGlobs([f"{templates}/*", *optional.values()])),
    )
    there = {*read.files, *data.files}
    spec = {
        "release": facts(release),
        "signing": {"kind": signing.kind, "fingerprint": signing.fingerprint},
        "files": listed(entries),
        "packages": PACKAGES if PACKAGES in there else "",
        "licenses": LICENSES if LICENSES in there else "",
        "closure": CLOSURE if CLOSURE in there else "",
        **{key: path if path in there else "" for key, path in optional.items()},
        "templates": templates,
        "output": posixpath.join("out", FOLDER),
    }
    process = await Get(
        Process,
        KitProcess(
            program="report",
            spec=json.dumps(spec, indent=1, sort_keys=True),
            input_digest=await Get(Digest, MergeDigests([read.digest, data.digest])),
            output_files=tuple(f"out/{FOLDER}/{name}" for name in RESULTS),
            description="Make the release page",
            libraries=("jinja2", "markupsafe"),
        ),
    )
    result = await Get(ProcessResult, Process, process)
    digest = await Get(Digest, RemovePrefix(result.output_digest, "out"))
    return BuiltPackage(digest, tuple(BuiltPackageArtifact(f"{FOLDER}/{name}") for name in RESULTS))


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, ReportFieldSet)]
