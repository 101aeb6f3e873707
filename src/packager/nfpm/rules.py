"""Build debs and rpms: one process a package, whose spec holds nothing but what that package needs."""

from __future__ import annotations

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
from releasekit import specs
from releasekit.nfpm import PackageSpec

RPM_ARCH = {"amd64": "x86_64", "all": "noarch"}


@dataclass(frozen=True)
class DebFieldSet(PackageFieldSet):
    required_fields = (f.PackageNameField, f.SectionField)


@dataclass(frozen=True)
class RpmFieldSet(PackageFieldSet):
    required_fields = (f.PackageNameField, f.RpmScriptsField)


@dataclass(frozen=True)
class NfpmRequest:
    """Ask for the package of a target; `format` is deb or rpm."""

    address: Address
    format: str


@dataclass(frozen=True)
class NfpmPackage:
    """A built package at `output` of `digest`, and `files.json`, what it installs."""

    name: str
    output: str
    digest: Digest
    files: Digest


def file_name(target: Target, kind: str, release: Release) -> str:
    """The usual file name of a deb or rpm."""
    name, arch = target[f.PackageNameField].value, target[f.ArchField].value
    if kind == "deb":
        return f"{name}_{release.full_version}_{arch}.deb"
    return f"{name}-{release.full_version}.{RPM_ARCH[arch]}.rpm"


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
    """nfpm's own keys for a target. `needs`: packages of ours; `scripts`: where they are."""
    facts = release.table["release"]
    depends = pinned(needs | {*target[f.RequiresField].value}, kind, release)
    return {
        "name": target[f.PackageNameField].value,
        "arch": target[f.ArchField].value,
        "platform": "linux",
        "version": release.version,
        "release": str(facts["revision"]),
        "version_schema": "none",
        **{key: facts[key] for key in ("maintainer", "vendor", "homepage", "license")},
        "description": f"{target[f.SummaryField].value}\n{target[f.DescriptionField].value}".strip(),
        "depends": [*depends, *target[f.DependsField].value],
        "suggests": list(target[f.SuggestsField].value),
        "replaces": taken_over(target[f.ReplacesField].value, kind, release),
        "scripts": {key: path for key, path in scripts.items() if key != "posttrans"},
        **(deb_fields(target, release) if kind == "deb" else rpm_fields(target, release, scripts)),
    }


def deb_fields(target: Target, release: Release) -> dict[str, Any]:
    triggers = target[f.TriggersField].value
    return {
        "section": target[f.SectionField].value,
        "priority": "optional",
        "deb": {
            "compression": "none",  # see releasekit.debzst
            "breaks": taken_over(target[f.BreaksField].value, "deb", release),
            "triggers": {key: list(names) for key, names in triggers.items()},
        },
    }


def rpm_fields(target: Target, release: Release, scripts: dict[str, str]) -> dict[str, Any]:
    return {
        "rpm": {
            "compression": release.table["compression"]["rpm"],
            "summary": target[f.SummaryField].value,
            "group": "System Environment/Daemons",
            "packager": release.table["release"]["maintainer"],
            "buildhost": "localhost",  # nfpm would record this machine's name
            "scripts": {key: path for key, path in scripts.items() if key == "posttrans"},
        }
    }


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
    scripts = {key: made(src) for key, src in target[field].value.items()}
    needs = {name for tree in contents.trees for name in tree.requires}
    licenses = target[f.LicensesField].value
    output = file_name(target, request.format, release)
    spec = PackageSpec(
        format=request.format,
        output=output,
        nfpm=nfpm.paths[0],
        mtime=release.mtime,
        fields=nfpm_fields(target, request.format, release, needs, scripts),
        trees=[f"trees/{tree.package}/tree.tar" for tree in contents.trees],
        tree_facts=[f"trees/{tree.package}/tree.json" for tree in contents.trees],
        contents=[dict(row) for row in contents.entries],
        licenses=made(licenses) if licenses else "",
        changelog=changelog(release),
        zstd_level=release.table["compression"]["deb_zstd_level"],
    )
    process = await Get(
        Process,
        KitProcess(
            program="nfpm",
            spec=specs.text(spec),
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
    return NfpmPackage(target[f.PackageNameField].value, output, package, files)


@rule(desc="Package a deb")
async def package_deb(field_set: DebFieldSet) -> BuiltPackage:
    built = await Get(NfpmPackage, NfpmRequest(field_set.address, "deb"))
    return BuiltPackage(built.digest, (BuiltPackageArtifact(built.output),))


@rule(desc="Package an rpm")
async def package_rpm(field_set: RpmFieldSet) -> BuiltPackage:
    built = await Get(NfpmPackage, NfpmRequest(field_set.address, "rpm"))
    return BuiltPackage(built.digest, (BuiltPackageArtifact(built.output),))


def rules() -> Any:
    return [
        *collect_rules(),
        UnionRule(PackageFieldSet, DebFieldSet),
        UnionRule(PackageFieldSet, RpmFieldSet),
    ]
