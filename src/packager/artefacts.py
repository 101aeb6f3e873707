"""Everything that a release ships, as the targets make it: debs, rpms, PEXes, images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage
from pants.engine.fs import Digest, DigestEntries, FileEntry
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import AllTargets
from pants.util.frozendict import FrozenDict

from packager.images import ImagesFieldSet
from packager.nfpm.rules import DebFieldSet, NfpmPackage, NfpmRequest, RpmFieldSet
from packager.pex import PexFieldSet
from releasekit.model import File


@dataclass(frozen=True)
class Built:
    packages: tuple[NfpmPackage, ...]
    pexes: tuple[BuiltPackage, ...]
    images: tuple[BuiltPackage, ...]

    @property
    def digests(self) -> tuple[Digest, ...]:
        built = (*self.pexes, *self.images)
        return (*(one.digest for one in self.packages), *(one.digest for one in built))


@dataclass(frozen=True)
class Artefacts:
    """The files of every package, by its name, the PEXes, and the files of images."""

    packages: FrozenDict[str, tuple[File, ...]]
    pexes: tuple[File, ...]
    images: tuple[File, ...]


@rule(desc="Build everything")
async def build_everything(targets: AllTargets) -> Built:
    kinds = {"deb": DebFieldSet, "rpm": RpmFieldSet}
    requests = [
        NfpmRequest(target.address, kind)
        for kind, fields in kinds.items()
        for target in targets
        if fields.is_applicable(target)
    ]
    pexes = [PexFieldSet.create(t) for t in targets if PexFieldSet.is_applicable(t)]
    built = await MultiGet(Get(NfpmPackage, NfpmRequest, request) for request in requests)
    images = [ImagesFieldSet.create(t) for t in targets if ImagesFieldSet.is_applicable(t)]
    packed = await MultiGet(Get(BuiltPackage, PexFieldSet, fields) for fields in pexes)
    laid_out = await MultiGet(Get(BuiltPackage, ImagesFieldSet, fields) for fields in images)
    return Built(tuple(built), tuple(packed), tuple(laid_out))


def files(entries: DigestEntries) -> list[File]:
    """What a release says of files, sorted by path."""
    return sorted(
        (
            File(e.path, e.file_digest.fingerprint, e.file_digest.serialized_bytes_length)
            for e in entries
            if isinstance(e, FileEntry)
        ),
        key=lambda file: file.path,
    )


@rule(desc="List what was built")
async def list_artefacts(built: Built) -> Artefacts:
    found = await MultiGet(Get(DigestEntries, Digest, digest) for digest in built.digests)
    listed = [files(entries) for entries in found]
    packages: dict[str, tuple[File, ...]] = {}
    for package, rows in zip(built.packages, listed):
        packages[package.name] = (*packages.get(package.name, ()), *rows)
    others = listed[len(built.packages) :]  # as `digests` has them
    pexes, images = (
        tuple(row for rows in part for row in rows)
        for part in (others[: len(built.pexes)], others[len(built.pexes) :])
    )
    return Artefacts(FrozenDict(packages), pexes, images)


def rules() -> Any:
    return collect_rules()
