"""Images of sessions: a layer for each `session_image`, and the layout that holds all of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.engine.fs import (
    EMPTY_DIGEST,
    AddPrefix,
    Digest,
    DigestSubset,
    GlobMatchErrorBehavior,
    MergeDigests,
    PathGlobs,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import COMMON_TARGET_FIELDS, AllTargets, BoolField, Target
from pants.engine.unions import UnionRule
from pants.util.frozendict import FrozenDict
from pants.util.strutil import help_text

from packager.drift import Debs, DebsRequest
from packager.fields import DefaultString, Strings, StringTable
from packager.inputs import KitProcess, Lock, LockedDigest, LockedFile, LockedFiles, LockFile
from packager.release import Release
from packager.targets import DistributionsField, SummaryLineField
from packager.trees import JOBS
from releasekit import specs
from releasekit.errors import Failure
from releasekit.image_layer import FACTS, LAYER, LayerSpec
from releasekit.images import IMAGES, Image, ImagesSpec
from releasekit.locks import canonical, image_set

LABEL = "ai.backend."  # before the labels that Backend.AI reads
_REFERENCE = re.compile(r"[a-z0-9]+(?:[._/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class ImageBaseField(DefaultString):
    alias = "base"
    help = "The image that it is based on, a folder beside its own; its layers are shared."


class ImageNameField(DefaultString):
    alias = "image"
    help = "REPOSITORY:TAG. Without it, no session starts from it: others are based on it."


class ImageDebianField(Strings):
    alias = "debian"
    help = help_text(
        """
        Debian packages that it has beyond its base. What they depend on comes along:
        scripts/lock-debian writes it to packaging/locks/debian.lock.
        """
    )


class ImageFilesField(StringTable):
    alias = "files"
    help = (
        "{path in the image: file beside the BUILD file}. One that begins with `#!` is a program."
    )


class ImageLinksField(StringTable):
    alias = "links"
    help = "{path in the image: what the link leads to}."


class ImageWithoutField(StringTable):
    alias = "without"
    help = help_text(
        """
        {pattern of paths in the image: why they are left out of its packages and distributions}. `*`
        stands for any characters, `/` too. Licences stay. A pattern that meets nothing is an error.
        """
    )


class ImageLabelsField(StringTable):
    alias = "labels"
    help = f"What Backend.AI reads of it beyond its base's, without `{LABEL}` before each name."


class ImageEnvironmentField(StringTable):
    alias = "environment"
    help = "Variables of its sessions."


class SessionImage(Target):
    alias = "session_image"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        SummaryLineField,
        ImageBaseField,
        ImageNameField,
        ImageDebianField,
        DistributionsField,
        ImageFilesField,
        ImageLinksField,
        ImageWithoutField,
        ImageLabelsField,
        ImageEnvironmentField,
    )
    help = help_text(
        """
        An image that sessions start from: Debian packages and distributions of the locks, laid out
        without a registry, a container engine or root. Its folder has its name.
        """
    )


class AllImagesField(BoolField):
    alias = "all_images"
    default = True
    help = "Every session_image of the repository is in it."


class SessionImages(Target):
    alias = "session_images"
    core_fields = (*COMMON_TARGET_FIELDS, AllImagesField)
    help = f"The folder {IMAGES}: an OCI image layout of all images, which share their layers."


@dataclass(frozen=True)
class ImagesFieldSet(PackageFieldSet):
    required_fields = (AllImagesField,)


@dataclass(frozen=True)
class LayerRequest:
    """Ask for the layer of an image."""

    target: Target


@dataclass(frozen=True)
class Layer:
    """`layers/NAME/` with the layer and its facts; `below`: names of the layers under it, lowest first.

    labels: its own, and of those what it does not say itself.
    debian, distributions: what the locks have of it and of those.
    """

    name: str
    digest: Digest
    below: tuple[str, ...]
    labels: FrozenDict[str, str]
    debian: frozenset[str]
    distributions: frozenset[str]

    @property
    def folder(self) -> str:
        return f"layers/{self.name}"


@dataclass(frozen=True)
class ImageTargets:
    """All images, by name."""

    targets: tuple[Target, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(target.address.target_name for target in self.targets)

    def named(self, name: str, asked_by: Target) -> Target:
        """Failure where there is no such image."""
        for target in self.targets:
            if target.address.target_name == name:
                return target
        raise Failure(
            f"{asked_by.address}: there is no image {name!r}",
            hint=f"images are: {', '.join(self.names)}",
        )


def check_image(target: Target) -> None:
    """Raise Failure for fields that do not fit each other."""
    name = target.address.target_name
    if posixpath.basename(target.address.spec_path) != name:
        raise Failure(f"{target.address}: an image has the name of its folder")
    image = target[ImageNameField].value
    if image and not _REFERENCE.fullmatch(image):
        raise Failure(f"{target.address}: `image` is REPOSITORY:TAG, not {image!r}")


def check_names(targets: Iterable[Target]) -> None:
    """Raise Failure where two images have one name: the layout would hold the last."""
    named: dict[str, Target] = {}
    for target in targets:
        name = target[ImageNameField].value
        if name and name in named:
            raise Failure(
                f"{target.address}: {named[name].address} is {name!r} already",
                hint="give one of them another `image`",
            )
        named[name] = target


def check_labels(target: Target, labels: Mapping[str, str]) -> None:
    """Raise Failure where an image has labels and no name, or the other way round."""
    if bool(target[ImageNameField].value) != bool(labels):
        raise Failure(
            f"{target.address}: `image` and `labels`, its own or its base's, go together",
            hint="an image that only others are based on has neither",
        )


def distribution_of(requirement: str) -> str:
    """The name of a distribution as locks have it, without what is said of its version."""
    return canonical(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def check_locked(target: Target, lock: str, wanted: Iterable[str], held: Iterable[str]) -> None:
    """Raise Failure where a lock lacks what an image asks for: it was not renewed since."""
    if missing := sorted({*wanted} - {*held}):
        raise Failure(
            f"{target.address}: packaging/locks/{lock}.lock has no {', '.join(missing)} for it",
            hint=f"run scripts/lock-{lock} --keep",
        )


@rule
async def find_images(targets: AllTargets) -> ImageTargets:
    found = [target for target in targets if isinstance(target, SessionImage)]
    for target in found:
        check_image(target)
    check_names(found)
    return ImageTargets(tuple(sorted(found, key=lambda target: target.address.target_name)))


async def _beside(target: Target) -> tuple[Digest, dict[str, str]]:
    """The files of an image that lie beside its BUILD file, and their paths by those in the image."""
    folder = target.address.spec_path
    paths = {
        place: posixpath.join(folder, file)
        for place, file in sorted(target[ImageFilesField].value.items())
    }
    if not paths:
        return EMPTY_DIGEST, {}
    globs = PathGlobs(
        sorted(set(paths.values())),
        GlobMatchErrorBehavior.error,
        description_of_origin=str(target.address),
    )
    return await Get(Digest, PathGlobs, globs), paths


@rule
async def build_layer(request: LayerRequest, images: ImageTargets, release: Release) -> Layer:
    target = request.target
    name = target.address.target_name
    python, lock = await MultiGet(Get(Lock, LockFile("images")), Get(Lock, LockFile("debian")))
    locked = python.data["groups"].get(name, {}).get("packages", {})
    debian = {key.partition("/")[2] for key in lock.data["sets"].get(image_set(name), ())}
    distributions, digests, facts = {*locked}, list[Digest](), ""
    below: tuple[str, ...] = ()
    labels = dict[str, str]()
    if base := target[ImageBaseField].value:
        under = await Get(Layer, LayerRequest(images.named(base, target)))
        facts = f"{under.folder}/{FACTS}"
        digests.append(await Get(Digest, DigestSubset(under.digest, PathGlobs([facts]))))
        below = (*under.below, base)
        debian |= under.debian
        distributions |= under.distributions
        labels |= under.labels
    labels |= target[ImageLabelsField].value
    check_labels(target, labels)
    check_locked(target, "debian", target[ImageDebianField].value, debian)
    roots = [distribution_of(text) for text in target[DistributionsField].value]
    check_locked(target, "images", roots, distributions)
    wheels = tuple(LockedFile.of(entry) for entry in locked.values())
    debs, fetched = await MultiGet(
        Get(Debs, DebsRequest(image_set(name))), Get(LockedDigest, LockedFiles(wheels, "wheels"))
    )
    beside, files = await _beside(target)
    digests += [debs.digest, fetched.digest, beside]
    spec = LayerSpec(
        name=name,
        python=release.table["python"]["version"],
        debs=list(debs.paths),
        wheels=list(fetched.paths),
        below=facts,
        files=files,
        links=dict(target[ImageLinksField].value),
        without=sorted(target[ImageWithoutField].value),
        jobs=JOBS,
    )
    process = await Get(
        Process,
        KitProcess(
            program="image_layer",
            spec=specs.text(spec),
            input_digest=await Get(Digest, MergeDigests(digests)),
            output_files=(LAYER, FACTS),
            description=f"Make the layer of the image {name}",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    placed = await Get(Digest, AddPrefix(result.output_digest, f"layers/{name}"))
    return Layer(
        name, placed, below, FrozenDict(labels), frozenset(debian), frozenset(distributions)
    )


def image_of(target: Target, layer: Layer) -> Image:
    """What the layout is told of an image."""
    # The agent knows C libraries by the releases of Ubuntu alone; this one has that of Debian 13, or older.
    labels = {"kernelspec": "1", "base-distro": "ubuntu24.04", **layer.labels}
    return Image(
        name=target[ImageNameField].value,
        summary=target[SummaryLineField].value,
        layers=[f"layers/{name}" for name in (*layer.below, layer.name)],
        labels={LABEL + key: value for key, value in labels.items()},
        environment=dict(target[ImageEnvironmentField].value),
    )


@rule(desc="Make the images of sessions")
async def package_images(_field_set: ImagesFieldSet, images: ImageTargets) -> BuiltPackage:
    layers = await MultiGet(Get(Layer, LayerRequest(target)) for target in images.targets)
    spec = ImagesSpec(
        [
            image_of(target, layer)
            for target, layer in zip(images.targets, layers)
            if target[ImageNameField].value  # on others, images are only based
        ]
    )
    process = await Get(
        Process,
        KitProcess(
            program="images",
            spec=specs.text(spec),
            input_digest=await Get(Digest, MergeDigests(layer.digest for layer in layers)),
            output_files=(),
            output_directories=(IMAGES,),
            description=f"Lay out {len(spec.images)} images",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return BuiltPackage(result.output_digest, (BuiltPackageArtifact(IMAGES),))


def rules() -> Any:
    return [*collect_rules(), UnionRule(PackageFieldSet, ImagesFieldSet)]
