"""The release page: what is in the parts of the bundle, for a browser without a network."""

from __future__ import annotations

import posixpath
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
    Target,
)
from pants.engine.unions import UnionRule
from pants.util.strutil import help_text

from packager.artefacts import files
from packager.inputs import KitProcess
from packager.options import Signing
from packager.parts import Parts, PartsRequest
from packager.release import Release
from releasekit import specs
from releasekit.report import Spec

FOLDER = "report"
RESULTS = ("index.html", "summary.json")
# What of the parts the page is made from; of everything else it shows size and sha256.
PACKAGES = "apt/dists/stable/main/binary-amd64/Packages"
LICENSES = "licenses/index.json"
TEMPLATES = "packaging/report"
OPTIONAL = {  # files that need not be there
    "previous": "packaging/previous-release.json",
    "reproducibility": "packaging/reproducibility.json",
    "exposure": "packaging/exposure.json",
}


class ReportPartsField(SpecialCasedDependencies):
    alias = "parts"
    required = True
    help = "The targets whose results are in the bundle: repositories, SBOM."


class ReleaseReport(Target):
    alias = "release_report"
    core_fields = (*COMMON_TARGET_FIELDS, ReportPartsField)
    help = help_text(
        """
        The release page, dist/report/index.html: one file that needs no other and no network. It
        compares with packaging/previous-release.json, the `report/summary.json` of the release before,
        and shows what packaging/reproducibility.json and exposure.json say was measured.
        """
    )


@dataclass(frozen=True)
class ReportFieldSet(PackageFieldSet):
    required_fields = (ReportPartsField,)

    parts: ReportPartsField


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


@rule(desc="Make the release page")
async def make_report(
    field_set: ReportFieldSet, release: Release, signing: Signing
) -> BuiltPackage:
    found = await Get(Parts, PartsRequest(field_set.parts))
    parts = await Get(Digest, MergeDigests(part.digest for part in found.packages))
    entries, read, data = await MultiGet(
        Get(DigestEntries, Digest, parts),
        Get(Snapshot, DigestSubset(parts, PathGlobs([PACKAGES, LICENSES]))),
        Get(Snapshot, PathGlobs([f"{TEMPLATES}/*", *OPTIONAL.values()])),
    )
    there = {*read.files, *data.files}
    spec = Spec(
        release=facts(release),
        signing={"kind": signing.kind, "fingerprint": signing.fingerprint},
        files=tuple(files(entries)),
        packages=PACKAGES if PACKAGES in there else "",
        licenses=LICENSES if LICENSES in there else "",
        **{key: path if path in there else "" for key, path in OPTIONAL.items()},
        templates=TEMPLATES,
        output=posixpath.join("out", FOLDER),
    )
    process = await Get(
        Process,
        KitProcess(
            program="report",
            spec=specs.text(spec),
            input_digest=await Get(Digest, MergeDigests([read.digest, data.digest])),
            output_files=tuple(f"out/{FOLDER}/{name}" for name in RESULTS),
            description="Make the release page",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    digest = await Get(Digest, RemovePrefix(result.output_digest, "out"))
    return BuiltPackage(digest, tuple(BuiltPackageArtifact(f"{FOLDER}/{name}") for name in RESULTS))


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, ReportFieldSet)]
