"""Build debs and rpms: one process a package, whose spec holds nothing but what that package needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.engine.addresses import Address
from pants.engine.fs import CreateDigest, Digest, DigestEntries, FileEntry, MergeDigests
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import Target, WrappedTarget, WrappedTargetRequest
from pants.engine.unions import UnionRule

from packager.inputs import BuiltTool, KitProcess, LockedDigest
from packager.nfpm import fields as f
from packager.nfpm.contents import Contents, ContentsRequest, produced
from packager.release import Release

RPM_ARCH = {"amd64": "x86_64", "all": "noarch"}


@dataclass(frozen=True)
class DebFieldSet(PackageFieldSet):
    required_fields = (f.PackageNameField, f.DebOutputField)

    output_path: f.DebOutputField


@dataclass(frozen=True)
class RpmFieldSet(PackageFieldSet):
    required_fields = (f.PackageNameField, f.RpmOutputField)

    output_path: f.RpmOutputField


@dataclass(frozen=True)
class NfpmRequest:
    """Ask for the package of a target; `format` is deb or rpm."""

    address: Address
    format: str
    output_path: str | None


@dataclass(frozen=True)
class NfpmPackage:
    """A built package at `output` of `digest`, and `files.json`, what it installs."""

    name: str
    output: str
    digest: Digest
    files: Digest


def full_version(target: Target, release: Release) -> tuple[str, int]:
    version = target[f.VersionField].value or release.version
    revision = target[f.VersionReleaseField].value or release.table["release"]["revision"]
    return version, revision


def file_name(target: Target, kind: str, release: Release) -> str:
    """The usual file name of a deb or rpm."""
    name, arch = target[f.PackageNameField].value, target[f.ArchField].value or ""
    version, revision = full_version(target, release)
    if kind == "deb":
        return f"{name}_{version}-{revision}_{arch}.deb"
    return f"{name}-{version}-{revision}.{RPM_ARCH[arch]}.rpm"


def pinned(names: set[str], kind: str, release: Release) -> list[str]:
    """Exact-version dependencies on packages of ours."""
    form = "{} (= {})" if kind == "deb" else "{} = {}"
    return [form.format(name, release.full_version) for name in sorted(names)]


def taken_over(names: tuple[str, ...], kind: str, release: Release) -> list[str]:
    """Versions of other packages of ours that still hold a file which this one now installs."""
    form = "{} (<< {})" if kind == "deb" else "{} < {}"
    return [form.format(name, release.full_version) for name in names]


def nfpm_fields(
    target: Target, kind: str, release: Release, needs: set[str], scripts: dict[str, str]
) -> dict[str, Any]:
    """nfpm's own keys for a target; what it leaves out comes from the release table."""
    facts = release.table["release"]
    version, revision = full_version(target, release)
    summary, description = target[f.SummaryField].value, target[f.DescriptionField].value
    made: dict[str, Any] = {
        "name": target[f.PackageNameField].value,
        "arch": target[f.ArchField].value,
        "platform": "linux",
        "version": version,
        "release": str(revision),
        "version_schema": "none",
        "maintainer": target[f.MaintainerField].value or facts["maintainer"],
        "vendor": facts["vendor"],
        "homepage": target[f.HomepageField].value or facts["homepage"],
        "license": target[f.LicenseField].value or facts["license"],
        "description": f"{summary}\n{description or ''}".strip(),
        "depends": [
            *pinned(needs | set(target[f.RequiresField].value or ()), kind, release),
            *(target[f.DependsField].value or ()),
        ],
        "recommends": list(target[f.RecommendsField].value or ()),
        "suggests": list(target[f.SuggestsField].value or ()),
        "conflicts": list(target[f.ConflictsField].value or ()),
        "replaces": taken_over(target[f.ReplacesField].value or (), kind, release),
        "provides": list(target[f.ProvidesField].value or ()),
        "scripts": {key: path for key, path in scripts.items() if key != "posttrans"},
    }
    if target[f.VersionEpochField].value is not None:
        made["epoch"] = str(target[f.VersionEpochField].value)
    if kind == "deb":
        made["section"] = target[f.SectionField].value
        made["priority"] = target[f.PriorityField].value
        breaks = taken_over(target[f.BreaksField].value or (), kind, release)
        triggers = {
            key: list(names) for key, names in (target[f.TriggersField].value or {}).items()
        }
        # Uncompressed: see releasekit.debzst.
        made["deb"] = {"compression": "none", "breaks": breaks, "triggers": triggers}
    else:
        made["rpm"] = {
            "compression": release.table["compression"]["rpm"],
            "summary": summary,
            "group": target[f.RpmGroupField].value,
            "packager": made["maintainer"],
            "buildhost": "localhost",  # nfpm would record this machine's name
            "scripts": {key: path for key, path in scripts.items() if key == "posttrans"},
        }
    return made


def changelog(release: Release) -> list[dict[str, Any]]:
    """The release's changelog in the form nfpm reads (chglog)."""
    return [
        {
            "semver": f"{row['version']}-{row['revision']}",
            "date": row["date"],
            "packager": release.table["release"]["maintainer"],
            "deb": {"urgency": "medium", "distributions": ["stable"]},
            "changes": [{"note": note} for note in row["changes"]],
        }
        for row in release.table.get("changelog", ())
    ]


@rule
async def build_nfpm_package(request: NfpmRequest, release: Release) -> NfpmPackage:
    wrapped = await Get(
        WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="a package")
    )
    target = wrapped.target
    contents, nfpm = await MultiGet(
        Get(Contents, ContentsRequest(target[f.NfpmDependencies])),
        Get(LockedDigest, BuiltTool("nfpm")),
    )

    def made(src: str) -> str:
        return produced(target.address.spec_path, src, contents.files, asked_by=str(target.address))

    field = f.ScriptsField if request.format == "deb" else f.RpmScriptsField
    scripts = {key: made(src) for key, src in (target[field].value or {}).items()}
    needs = {name for tree in contents.trees for name in tree.requires}
    licenses = target[f.LicensesField].value
    output = request.output_path or file_name(target, request.format, release)
    spec = {
        "format": request.format,
        "output": output,
        "nfpm": nfpm.paths[0],
        "mtime": release.mtime,
        "fields": nfpm_fields(target, request.format, release, needs, scripts),
        "trees": [f"trees/{tree.package}/tree.tar" for tree in contents.trees],
        "tree_facts": [f"trees/{tree.package}/tree.json" for tree in contents.trees],
        "contents": [dict(row) for row in contents.entries],
        "licenses": made(licenses) if licenses else "",
        "changelog": changelog(release),
        "zstd_level": release.table["compression"]["deb_zstd_level"],
    }
    process = await Get(
        Process,
        KitProcess(
            program="nfpm",
            spec=json.dumps(spec, indent=1, sort_keys=True),
            input_digest=await Get(Digest, MergeDigests([contents.digest, nfpm.digest])),
            output_files=(output, "files.json"),
            description=f"Make {output}",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    entries = {
        e.path: e
        for e in await Get(DigestEntries, Digest, result.output_digest)
        if isinstance(e, FileEntry)
    }
    package, files = await MultiGet(
        Get(Digest, CreateDigest([entries[output]])),
        Get(Digest, CreateDigest([entries["files.json"]])),
    )
    return NfpmPackage(target[f.PackageNameField].value or "", output, package, files)


@rule(desc="Package a deb")
async def package_deb(field_set: DebFieldSet) -> BuiltPackage:
    built = await Get(
        NfpmPackage, NfpmRequest(field_set.address, "deb", field_set.output_path.value)
    )
    return BuiltPackage(built.digest, (BuiltPackageArtifact(built.output),))


@rule(desc="Package an rpm")
async def package_rpm(field_set: RpmFieldSet) -> BuiltPackage:
    built = await Get(
        NfpmPackage, NfpmRequest(field_set.address, "rpm", field_set.output_path.value)
    )
    return BuiltPackage(built.digest, (BuiltPackageArtifact(built.output),))


def rules() -> Any:
    return [
        *collect_rules(),
        UnionRule(PackageFieldSet, DebFieldSet),
        UnionRule(PackageFieldSet, RpmFieldSet),
    ]
