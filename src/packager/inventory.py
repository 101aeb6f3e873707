"""What the release is made of, gathered from the targets and the locks for releasekit.inventory."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage
from pants.engine.fs import (
    Digest,
    DigestContents,
    DigestEntries,
    DigestSubset,
    FileEntry,
    MergeDigests,
    PathGlobs,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import AllTargets, Target

from packager.drift import Debs, DebsRequest, used_entry
from packager.inputs import KitProcess, Lock, LockedDigest, LockedFile, LockedFiles, LockFile
from packager.nfpm import fields as f
from packager.nfpm.contents import Contents, ContentsRequest
from packager.nfpm.rules import DebFieldSet, NfpmPackage, NfpmRequest, RpmFieldSet
from packager.options import Packager
from packager.own import OwnWheel, OwnWheels
from packager.pex import PexFieldSet
from packager.release import Release
from packager.targets import DebianSetField, DistributionsField, PackageField
from packager.trees import Owners
from releasekit.closure import closure
from releasekit.locks import canonical

Row = dict[str, Any]  # of releasekit.inventory, as JSON has it


@dataclass(frozen=True)
class InventoryRequest:
    """Ask for the inventory; `carried` is the set of debian.lock in the apt repository.

    `signed` are the rpms that ship: rows of (path in the release, sha256, size).
    """

    carried: str
    signed: tuple[tuple[str, str, int], ...] = ()

    def shipped(self, rows: list[Row]) -> list[Row]:
        """The files of a package, with the signed rpm in the place of the one that was built."""
        made = {posixpath.basename(path): (path, *facts) for path, *facts in self.signed}
        return [
            dict(zip(("path", "sha256", "size"), made[row["path"]])) if row["path"] in made else row
            for row in rows
        ]


@dataclass(frozen=True)
class GatheredInventory:
    """`spec` is JSON for releasekit.inventory; `digest` holds the licences it names."""

    spec: str
    digest: Digest


@dataclass(frozen=True)
class PartLicences:
    """Ask what files say of their licences: wheels by lock entry, Debian packages by set."""

    wheels: tuple[LockedFile, ...]
    debian_sets: tuple[str, ...]
    output: str


@rule
async def read_part_licences(request: PartLicences) -> LockedDigest:
    wheels = await Get(LockedDigest, LockedFiles(request.wheels, "wheels"))
    debs = await MultiGet(Get(Debs, DebsRequest(name)) for name in request.debian_sets)
    paths = sorted({path for found in debs for path in found.paths})
    spec = {"wheels": list(wheels.paths), "debs": paths, "output": request.output}
    process = await Get(
        Process,
        KitProcess(
            program="part_licences",
            spec=json.dumps(spec, indent=1, sort_keys=True),
            input_digest=await Get(
                Digest, MergeDigests([wheels.digest, *(found.digest for found in debs)])
            ),
            output_files=(request.output,),
            description=f"Read the licences of {len(wheels.paths) + len(paths)} files",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return LockedDigest(result.output_digest, (request.output,))


def file_row(entry: Mapping[str, Any], kind: str, name: str, **more: Any) -> Row:
    """A part that is a locked file."""
    row = {key: entry[key] for key in ("version", "filename", "sha256", "size")}
    return {"kind": kind, "name": name, **row, **more}


def add(rows: dict[tuple[str, str], Row], row: Row) -> None:
    """Add a part; what two packages hold is one part of both."""
    known = rows.setdefault(
        (row["kind"], f"{row['filename'] or row['name']} {row['version']}"), row
    )
    if known is not row:
        known["packages"] = sorted({*known["packages"], *row["packages"]})
        known["carried"] = known.get("carried", False) or row.get("carried", False)


def stated_rows(
    listed: Iterable[Mapping[str, Any]],
    package: str,
    npm: Mapping[str, Any],
    unpacked: Mapping[str, Any],
) -> list[Row]:
    """The parts that a licenses.json of a package lists: npm packages, files of wheels, what is linked in."""
    tarballs = {(entry["name"], entry["version"]): entry for entry in npm.values()}
    rows = []
    for said in listed:
        name, version = said["name"], said["version"]
        own: Row = {"packages": [package], "license": said["license"], "texts": [said["text"]]}
        if (name, version) in tarballs:
            rows.append(file_row(tarballs[name, version], "npm", name, **own))
        elif canonical(name) in unpacked:
            entry = unpacked[canonical(name)]
            rows.append(file_row(entry, "pypi", canonical(name), extent="files", **own))
        else:
            rows.append(
                {"kind": "embedded", "name": name, "version": version, "filename": "", **own}
            )
    return rows


async def _files(digest: Digest) -> list[Row]:
    entries = await Get(DigestEntries, Digest, digest)
    return [
        {
            "path": entry.path,
            "sha256": entry.file_digest.fingerprint,
            "size": entry.file_digest.serialized_bytes_length,
        }
        for entry in sorted(entries, key=lambda entry: entry.path)
        if isinstance(entry, FileEntry)
    ]


@dataclass(frozen=True)
class Artefacts:
    """Every deb, rpm and PEX as its target writes it: rows of {path, sha256, size} as JSON."""

    packages: str  # {package: rows}
    pexes: str  # rows

    def of_packages(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = json.loads(self.packages)
        return found

    def of_pexes(self) -> list[Row]:
        found: list[Row] = json.loads(self.pexes)
        return found


@rule(desc="List what was built")
async def list_artefacts(targets: AllTargets) -> Artefacts:
    requests = [
        NfpmRequest(t.address, "deb", t[f.DebOutputField].value)
        for t in targets
        if DebFieldSet.is_applicable(t)
    ]
    requests += [
        NfpmRequest(t.address, "rpm", t[f.RpmOutputField].value)
        for t in targets
        if RpmFieldSet.is_applicable(t)
    ]
    pexes = [t for t in targets if PexFieldSet.is_applicable(t)]
    built = await MultiGet(Get(NfpmPackage, NfpmRequest, request) for request in requests)
    packed = await MultiGet(Get(BuiltPackage, PexFieldSet, PexFieldSet.create(t)) for t in pexes)
    packages: dict[str, list[Row]] = {}
    for package in built:
        packages.setdefault(package.name, []).extend(await _files(package.digest))
    rows = [row for pex in packed for row in await _files(pex.digest)]
    return Artefacts(json.dumps(packages, sort_keys=True), json.dumps(rows))


def release_row(release: Release) -> dict[str, Any]:
    """What the inventory says of the release."""
    facts = release.table["release"]
    return {
        "name": facts.get("name", facts["vendor"]),
        "version": release.full_version,
        "number": facts.get("number", 0),
        "date": facts["date"],
        "homepage": facts["homepage"],
        "license": facts["license"],
        "vendor": facts["vendor"],
    }


def debian_rows(
    lock: Mapping[str, Any], name: str, cache: str, *, packages: Iterable[str] = (), carried: bool
) -> list[Row]:
    """The parts of a set of debian.lock; the file that stands in for one that left the mirror."""
    return [
        file_row(
            used_entry(cache, lock["packages"][key]),
            "deb",
            key.split("/", 1)[1],
            packages=list(packages),
            carried=carried,
        )
        for key in lock["sets"][name]
    ]


async def _stated(
    target: Target,
    content: Contents,
    package: str,
    npm: Mapping[str, Any],
    python: Mapping[str, Any],
) -> list[Row]:
    """The parts that the licenses.json of a package lists, if it has one."""
    licenses = target[f.LicensesField].value
    if not licenses:
        return []
    path = posixpath.join(target.address.spec_path, licenses)
    alone = await Get(Digest, DigestSubset(content.digest, PathGlobs([path])))
    files = await Get(DigestContents, Digest, alone)
    return stated_rows(
        json.loads(files[0].content), package, npm["packages"], python.get("unpacked", {})
    )


@rule(desc="Gather what the release is made of")
async def gather_inventory(
    request: InventoryRequest,
    targets: AllTargets,
    release: Release,
    artefacts: Artefacts,
    owners: Owners,
    own: OwnWheels,
    packager: Packager,
) -> GatheredInventory:
    python, npm, debian = await MultiGet(
        Get(Lock, LockFile("python")), Get(Lock, LockFile("npm")), Get(Lock, LockFile("debian"))
    )
    debs = sorted(
        (t for t in targets if DebFieldSet.is_applicable(t)),
        key=lambda t: t[f.PackageNameField].value or "",
    )
    contents = await MultiGet(
        Get(Contents, ContentsRequest(target[f.NfpmDependencies])) for target in debs
    )
    sets = {
        t[PackageField].value or "": t[DebianSetField].value or ""
        for t in targets
        if t.has_fields([PackageField, DebianSetField])
    }
    wheels = await MultiGet(Get(LockedDigest, OwnWheel, wheel) for wheel in own.by_name.values())
    built = {name: (await _files(wheel.digest))[0] for name, wheel in zip(own.by_name, wheels)}
    rows: dict[tuple[str, str], Row] = {}
    for name in sorted(set(owners.ownership.owned)):
        for dist in owners.ownership.owned[name]:
            add(rows, _distribution(dist, name, python.data, own, built, release))
    for package, debian_set in sorted(sets.items()):
        for row in debian_rows(
            debian.data, debian_set, packager.cache, packages=[package], carried=False
        ):
            add(rows, row)
    for row in debian_rows(debian.data, request.carried, packager.cache, carried=True):
        add(rows, row)
    packages = []
    for target, content in zip(debs, contents):
        name = target[f.PackageNameField].value or ""
        for row in await _stated(target, content, name, npm.data, python.data):
            add(rows, row)
        needs = {need for tree in content.trees for need in tree.requires}
        packages.append(
            {
                "name": name,
                "summary": target[f.SummaryField].value,
                "arch": target[f.ArchField].value,
                "requires": sorted({*needs, *(target[f.RequiresField].value or ())} - {name}),
                "files": request.shipped(artefacts.of_packages()[name]),
            }
        )
    used = [row for row in rows.values() if row["kind"] == "pypi" and not row.get("extent")]
    said = await MultiGet(
        Get(
            LockedDigest,
            PartLicences(tuple(LockedFile.of(row) for row in used), (), "wheels.json"),
        ),
        Get(
            LockedDigest,
            PartLicences((), tuple(sorted({*sets.values(), request.carried})), "debs.json"),
        ),
    )
    spec = {
        "release": release_row(release),
        "packages": packages,
        "parts": [rows[key] for key in sorted(rows)],
        "pexes": artefacts.of_pexes(),
        "pex_parts": _pex_parts(targets, python.data["packages"]),
        "licences": [path for found in said for path in found.paths],
    }
    digest = await Get(Digest, MergeDigests(found.digest for found in said))
    return GatheredInventory(json.dumps(spec, indent=1, sort_keys=True), digest)


def _distribution(
    name: str,
    package: str,
    lock: Mapping[str, Any],
    own: OwnWheels,
    built: Mapping[str, Row],
    release: Release,
) -> Row:
    """A Python distribution: of the lock, or our own."""
    if name in own.by_name:
        file = built[name]
        entry = {**file, "version": release.version, "filename": posixpath.basename(file["path"])}
        requires = [canonical(need) for need in own.by_name[name].imports]
        facts = {"license": release.table["release"]["license"]}
        return file_row(
            entry, "generic", name, packages=[package], requires=sorted(requires), **facts
        )
    entry = lock["packages"][name]
    requires = sorted({canonical(need.partition("[")[0]) for need in entry.get("requires", ())})
    return file_row(entry, "pypi", name, packages=[package], requires=requires)


def _pex_parts(targets: AllTargets, packages: Mapping[str, Any]) -> dict[str, list[str]]:
    """The distributions in each PEX."""
    found = {}
    for target in targets:
        if PexFieldSet.is_applicable(target):
            output = PexFieldSet.create(target).output_path.value_or_default(file_ending="pex")
            names = target[DistributionsField].value or ()
            found[output] = sorted(closure(packages, names, wanted_by=str(target.address)))
    return found


def rules() -> Any:
    return collect_rules()
