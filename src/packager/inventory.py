"""What the release is made of, gathered from the targets and the locks for releasekit.inventory."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pants.engine.fs import (
    Digest,
    DigestContents,
    DigestEntries,
    DigestSubset,
    MergeDigests,
    PathGlobs,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import AllTargets, Target
from pants.util.frozendict import FrozenDict

from packager.artefacts import Artefacts, files
from packager.drift import Debs, DebsRequest, used_entry
from packager.images import ImageBaseField, ImageTargets
from packager.inputs import KitProcess, Lock, LockedDigest, LockedFile, LockedFiles, LockFile
from packager.nfpm import fields as f
from packager.nfpm.contents import Contents, ContentsRequest
from packager.nfpm.rules import DebFieldSet
from packager.options import Packager
from packager.own import OwnWheel, OwnWheels
from packager.pex import PexFieldSet
from packager.release import Release
from packager.targets import DebianSetField, PackageField, SummaryLineField
from packager.trees import Owners
from releasekit import specs
from releasekit.closure import closure
from releasekit.inventory import InventorySpec, image_package
from releasekit.locks import canonical, image_set
from releasekit.model import File, Inventory, Package, Part, Pex, ReleaseFacts
from releasekit.part_licenses import LicensesSpec

Entry = Mapping[str, Any]  # of a lock


@dataclass(frozen=True)
class InventoryRequest:
    """Ask for the inventory; `signed` are the rpms that ship, by their path in the release."""

    signed: tuple[File, ...] = ()

    def shipped(self, built: Iterable[File]) -> tuple[File, ...]:
        """The files of a package, with the signed rpm in the place of the one that was built."""
        made = {file.name: file for file in self.signed}
        return tuple(made.get(file.path, file) for file in built)


@dataclass(frozen=True)
class GatheredInventory:
    """`digest` holds the files with licences that `spec` names."""

    spec: InventorySpec
    digest: Digest


@dataclass(frozen=True)
class PartLicenses:
    """Ask what files say of their licences: wheels by lock entry, Debian packages by set."""

    wheels: tuple[LockedFile, ...]
    debian_sets: tuple[str, ...]
    output: str


@rule
async def read_part_licenses(request: PartLicenses) -> LockedDigest:
    wheels = await Get(LockedDigest, LockedFiles(request.wheels, "wheels"))
    debs = await MultiGet(Get(Debs, DebsRequest(name)) for name in request.debian_sets)
    paths = sorted({path for found in debs for path in found.paths})
    spec = LicensesSpec(list(wheels.paths), paths, request.output)
    process = await Get(
        Process,
        KitProcess(
            program="part_licenses",
            spec=specs.text(spec),
            input_digest=await Get(
                Digest, MergeDigests([wheels.digest, *(found.digest for found in debs)])
            ),
            output_files=(request.output,),
            description=f"Read the licences of {len(wheels.paths) + len(paths)} files",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return LockedDigest(result.output_digest, (request.output,))


def locked_part(entry: Entry, kind: str, name: str, **more: Any) -> Part:
    """A part that is a locked file."""
    keys = ("version", "filename", "sha256", "size")
    return Part(name, kind=kind, **{key: entry[key] for key in keys}, **more)


def merged(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts, what two packages hold as one part of both; sorted by kind and file."""
    found: dict[tuple[str, str], Part] = {}
    for part in parts:
        key = (part.kind, f"{part.filename or part.name} {part.version}")
        known = found.get(key, part)
        found[key] = replace(known, packages=tuple(sorted({*known.packages, *part.packages})))
    return tuple(found[key] for key in sorted(found))


def stated_parts(listed: Iterable[Entry], package: str, npm: Entry, unpacked: Entry) -> list[Part]:
    """The parts that a licenses.json of a package lists: npm packages, files of wheels, what is linked in."""
    tarballs = {(entry["name"], entry["version"]): entry for entry in npm.values()}
    parts = []
    for said in listed:
        name, version = said["name"], said["version"]
        own = {"packages": (package,), "license": said["license"], "texts": (said["text"],)}
        if (name, version) in tarballs:
            parts.append(locked_part(tarballs[name, version], "npm", name, **own))
        elif canonical(name) in unpacked:
            entry = unpacked[canonical(name)]
            parts.append(locked_part(entry, "pypi", canonical(name), extent="files", **own))
        else:
            parts.append(Part(name, version, kind="embedded", **own))
    return parts


def release_facts(release: Release) -> ReleaseFacts:
    """What the inventory says of the release."""
    facts = release.table["release"]
    return ReleaseFacts(
        version=release.full_version,
        **{key: facts[key] for key in ("name", "number", "date", "homepage", "license", "vendor")},
    )


def debian_parts(lock: Entry, name: str, cache: str, package: str) -> list[Part]:
    """The parts of a set of debian.lock; the file that stands in for one that left the mirror."""
    return [
        locked_part(
            used_entry(cache, lock["packages"][key]),
            "deb",
            key.split("/", 1)[1],
            packages=(package,),
        )
        for key in lock["sets"][name]
    ]


async def _stated(target: Target, content: Contents) -> list[Part]:
    """The parts that the licenses.json of a package lists, if it has one."""
    licenses = target[f.LicensesField].value
    if not licenses:
        return []
    path = posixpath.join(target.address.spec_path, licenses)
    alone = await Get(Digest, DigestSubset(content.digest, PathGlobs([path])))
    npm, python, found = await MultiGet(
        Get(Lock, LockFile("npm")),
        Get(Lock, LockFile("python")),
        Get(DigestContents, Digest, alone),
    )
    return stated_parts(
        json.loads(found[0].content),
        target[f.PackageNameField].value,
        npm.data["packages"],
        python.data.get("unpacked", {}),
    )


@dataclass(frozen=True)
class OurPackages:
    """Packages of ours without their files, and the parts that they state themselves."""

    packages: tuple[Package, ...]
    stated: tuple[Part, ...]


@rule
async def our_packages(targets: AllTargets) -> OurPackages:
    debs = [target for target in targets if DebFieldSet.is_applicable(target)]
    contents = await MultiGet(
        Get(Contents, ContentsRequest(target[f.NfpmDependencies])) for target in debs
    )
    packages, stated = [], list[Part]()
    for target, content in zip(debs, contents):
        name = target[f.PackageNameField].value
        needs = {need for tree in content.trees for need in tree.requires}
        requires = sorted({*needs, *target[f.RequiresField].value} - {name})
        summary, arch = target[f.SummaryField].value, target[f.ArchField].value
        packages.append(Package(name, summary, arch, tuple(requires)))
        stated += await _stated(target, content)
    return OurPackages(tuple(sorted(packages, key=lambda one: one.name)), tuple(stated))


@dataclass(frozen=True)
class Distributions:
    """Every Python distribution that packages hold, as a part."""

    parts: tuple[Part, ...]


@rule
async def list_distributions(owners: Owners, own: OwnWheels, release: Release) -> Distributions:
    lock = await Get(Lock, LockFile("python"))
    wheels = await MultiGet(Get(LockedDigest, OwnWheel, wheel) for wheel in own.by_name.values())
    entries = await MultiGet(Get(DigestEntries, Digest, wheel.digest) for wheel in wheels)
    built = {name: files(found)[0] for name, found in zip(own.by_name, entries)}
    parts = []
    for package, names in owners.ownership.owned.items():
        for name in names:
            if name in built:
                file = built[name]
                entry = {**vars(file), "version": release.version, "filename": file.name}
                needs, kind = own.by_name[name].imports, "generic"
                more = {"license": release.table["release"]["license"]}
            else:
                entry, kind, more = lock.data["packages"][name], "pypi", {}
                needs = tuple(need.partition("[")[0] for need in entry.get("requires", ()))
            more["requires"] = tuple(sorted({canonical(need) for need in needs}))
            parts.append(locked_part(entry, kind, name, packages=(package,), **more))
    return Distributions(tuple(parts))


@dataclass(frozen=True)
class InImages:
    """Images of sessions as packages of ours, and what they hold; `entries`: wheels of images.lock."""

    packages: tuple[Package, ...]
    parts: tuple[Part, ...]
    debian_sets: FrozenDict[str, str]
    entries: tuple[Entry, ...]


@rule
async def list_images(images: ImageTargets, release: Release) -> InImages:
    lock = await Get(Lock, LockFile("images"))
    packages, parts, entries = [], list[Part](), list[Entry]()
    for target in images.targets:
        name = target.address.target_name
        based_on = (image_package(base),) if (base := target[ImageBaseField].value) else ()
        summary = target[SummaryLineField].value
        packages.append(Package(image_package(name), summary, "amd64", based_on))
        for wheel, entry in lock.data["groups"].get(name, {}).get("packages", {}).items():
            parts.append(locked_part(entry, "pypi", wheel, packages=(image_package(name),)))
            entries.append(entry)
    return InImages(
        tuple(packages),
        tuple(parts),
        FrozenDict((image_package(name), image_set(name)) for name in images.names),
        tuple(entries),
    )


@rule(desc="Gather what the release is made of")
async def gather_inventory(
    request: InventoryRequest,
    targets: AllTargets,
    release: Release,
    artefacts: Artefacts,
    ours: OurPackages,
    distributions: Distributions,
    in_images: InImages,
    packager: Packager,
) -> GatheredInventory:
    python, debian = await MultiGet(Get(Lock, LockFile("python")), Get(Lock, LockFile("debian")))
    sets = {
        t[PackageField].value: t[DebianSetField].value
        for t in targets
        if t.has_fields([PackageField, DebianSetField])
    }
    parts = [*distributions.parts, *ours.stated, *in_images.parts]
    sets.update(in_images.debian_sets)
    for package, debian_set in sets.items():
        parts += debian_parts(debian.data, debian_set, packager.cache, package)
    listed = merged(parts)
    wheels = [part for part in listed if part.kind == "pypi" and not part.extent]
    locked = python.data["packages"]
    by_sha256 = {entry["sha256"]: entry for entry in (*in_images.entries, *locked.values())}
    said = await MultiGet(
        Get(
            LockedDigest,
            PartLicenses(
                tuple(LockedFile.of(by_sha256[part.sha256]) for part in wheels), (), "wheels.json"
            ),
        ),
        Get(LockedDigest, PartLicenses((), tuple(sorted({*sets.values()})), "debs.json")),
    )
    inventory = Inventory(
        release=release_facts(release),
        packages=(
            *(
                replace(package, files=request.shipped(artefacts.packages[package.name]))
                for package in ours.packages
            ),
            *in_images.packages,
        ),
        parts=listed,
        pexes=_pexes(targets, artefacts, locked),
    )
    digest = await Get(Digest, MergeDigests(found.digest for found in said))
    spec = InventorySpec(inventory, tuple(path for found in said for path in found.paths))
    return GatheredInventory(spec, digest)


def _pexes(targets: AllTargets, artefacts: Artefacts, packages: Entry) -> tuple[Pex, ...]:
    """The PEXes with the distributions in each."""
    built = {file.path: file for file in artefacts.pexes}
    pexes = []
    for target in targets:
        if PexFieldSet.is_applicable(target):
            fields = PexFieldSet.create(target)
            names = closure(packages, fields.distributions.value, wanted_by=str(target.address))
            pexes.append(Pex(**vars(built[fields.output]), distributions=tuple(sorted(names))))
    return tuple(pexes)


def rules() -> Any:
    return collect_rules()
