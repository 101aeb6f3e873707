"""Filling the site's registry. What nodes ask is read-only; it is filled by a second process of the same
program on the same storage, for as long as that takes, which listens on a socket that root alone reaches.

What a client does: the HTTP API of the OCI distribution specification. Only missing blobs are sent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout
from backendai_ctl.images.layout import Blob, Image, verified
from backendai_ctl.platform import careful, deadline, files
from backendai_ctl.platform.bound import Said, bound
from backendai_ctl.platform.http import Local
from backendai_ctl.topology import registry

_START = 20.0  # seconds until it listens
_TIMEOUT = 120.0  # seconds for an answer
_LINK = 100  # bytes of a file that names a digest
_TAG = re.compile(r"\./(.+)/_manifests/tags/([^/]+)/current")
_SPARE = 1 << 30  # bytes that databases on the same disk are left
_PEER = struct.Struct("3i")  # of SO_PEERCRED: process, user, group


def storage(ctx: Context) -> Path:
    """The folder of the registry, which is its user's."""
    return ctx.paths.state / registry.NAME


def top(ctx: Context) -> Path:
    """What it keeps its images in, as the Distribution project lays it out."""
    return storage(ctx) / "docker/registry/v2"


def tag(ctx: Context, name: str) -> Path:
    """The folder that makes an image, REPOSITORY:TAG, be there by that name."""
    repository, _, word = name.rpartition(":")
    return top(ctx) / "repositories" / repository / "_manifests/tags" / word


def held(ctx: Context, image: Image) -> bool:
    """Whether the registry of this host has just this image under its name. It need not run."""
    try:
        found = careful.read(tag(ctx, image.name) / "current/link", _LINK)
    except OSError:
        return False
    return found is not None and found.decode("ascii", "replace").strip() == image.digest


@dataclass(frozen=True)
class Stored:
    """An image in the registry's storage; `size`: bytes of its parts, the rest as of layout.Image."""

    name: str
    size: int
    config: str
    digest: str


def stored(ctx: Context) -> list[Stored]:
    """The images in the registry of this host, by name. It need not run."""
    found = []
    try:
        with careful.folder(top(ctx) / "repositories") as handle:
            for where, _, names, at in os.fwalk(".", dir_fd=handle):
                place = _TAG.fullmatch(where)
                if place and "link" in names:
                    digest = (careful.read_in(at, "link", _LINK) or b"").decode("ascii", "replace")
                    found.append(_stored(ctx, f"{place[1]}:{place[2]}", digest.strip()))
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda one: one.name)


def _stored(ctx: Context, name: str, digest: str) -> Stored:
    """An image by its manifest; of one that cannot be read only the name is known."""
    if not layout.DIGEST.fullmatch(digest):
        return Stored(name, 0, "", "")
    try:
        manifest = json.loads(careful.read(blob(ctx, digest), layout.MOST) or b"")
        parts = [manifest["config"], *manifest["layers"]]
        size = sum(int(part["size"]) for part in parts)
        return Stored(name, size, str(parts[0]["digest"]), digest)
    except (OSError, ValueError, KeyError, TypeError):
        return Stored(name, 0, "", digest)


def blob(ctx: Context, digest: str) -> Path:
    """Where the bytes of a blob are."""
    number = digest.partition(":")[2]
    return top(ctx) / "blobs/sha256" / number[:2] / number / "data"


def push(ctx: Context, images: Sequence[Image]) -> None:
    """Put images into the registry of this host; Problem if it does not take one, or there is no space."""
    for image in images:
        layout.check(image)
    size = sum({blob.digest: blob.size for image in images for blob in image.blobs}.values())
    if (free := shutil.disk_usage(ctx.paths.state).free) < size + _SPARE:
        raise Problem(
            f"{storage(ctx)}: {free / 1e6:.0f} MB are free, images take {size / 1e6:.0f} MB and "
            f"{_SPARE / 1e6:.0f} MB are to be left",
            hint="free space there, then run: backendai-ctl reconfigure",
        )
    with _writable(ctx) as there:
        known: dict[str, str] = {}  # digest of what it has -> a repository that has it
        for image in images:
            missing = [blob for blob in image.blobs if not _has(there, image, blob)]
            new = [blob for blob in missing if blob.digest not in known]
            sent = sum(blob.size for blob in new) / 1e6
            ctx.say(f"Push {image.name}: {len(new)} of {len(image.blobs)} parts, {sent:.0f} MB")
            for blob in missing:
                _send(there, image, blob, known.get(blob.digest, ""))
            known |= {blob.digest: image.repository for blob in image.blobs}
            _tag(there, image)


@dataclass(frozen=True)
class _Registry:
    """The process that takes images, as `user`, a number."""

    path: Path
    user: int

    def ask(
        self,
        method: str,
        place: str,
        body: Iterable[bytes] | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content of its answer; Problem if there is none."""
        connection = Local(self.path, deadline.left(_TIMEOUT))
        try:
            connection.connect()
            peer = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            if _PEER.unpack(peer)[1] != self.user:
                raise Problem(f"{self.path}: another account holds this socket", hint=_HINT)
            connection.request(method, place, body, headers or {})
            answer = connection.getresponse()
            return (
                answer.status,
                {k.lower(): v for k, v in answer.getheaders()},
                answer.read(1 << 16),
            )
        except (OSError, http.client.HTTPException) as error:
            raise Problem(f"the registry does not answer: {error}", hint=_HINT) from error
        finally:
            connection.close()


_HINT = "see: backendai-ctl logs registry; then run: backendai-ctl reconfigure"


@dataclass(frozen=True)
class Filler:
    """The registry's program, told in a private folder to write; `owner`: user and group it runs as."""

    program: str
    folder: Path
    owner: tuple[int, int]

    @property
    def settings(self) -> Path:
        return self.folder / "registry.json"

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def call(self, *words: str) -> list[str]:
        """How to run it: as the registry's user, ended with us."""
        return bound([self.program, *words], *self.owner, "--no-new-privs")


@contextmanager
def filler(ctx: Context) -> Iterator[Filler]:
    """The program with what it needs to write. One at a time: the caller holds the lock of the host."""
    owner = accounts.own_numbers(ctx.facts.servers[registry.NAME])
    for left in ctx.paths.run.glob("registry-*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    program = str(ctx.paths.servers / registry.NAME / "bin/docker-registry")
    made = Filler(program, ctx.paths.run / f"registry-{secrets.token_hex(8)}", owner)
    files.make_folder(made.folder, mode=0o700, owner=owner)
    files.make_folder(storage(ctx), mode=0o700, owner=owner)  # as its unit would
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage(ctx))}},
        "http": {"net": "unix", "addr": str(made.socket)},
    }
    try:
        files.write(made.settings, json.dumps(settings), mode=0o600, owner=owner)
        yield made
    finally:
        shutil.rmtree(made.folder, ignore_errors=True)


@contextmanager
def _writable(ctx: Context) -> Iterator[_Registry]:
    """A registry that takes images; ended with the block."""
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(filler(ctx))
        said = Said()
        process = subprocess.Popen(
            made.call("serve", str(made.settings)),
            stdin=subprocess.DEVNULL,
            stdout=said.out,
            stderr=said.out,
            cwd="/",
            env={},
            umask=0o077,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        _wait(process, made.socket, said)
        yield _Registry(made.socket, made.owner[0])


def _wait(process: subprocess.Popen[bytes], path: Path, said: Said) -> None:
    until = time.monotonic() + deadline.left(_START)
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return
        if process.poll() is not None or time.monotonic() > until:
            lines = said.all().strip().splitlines()
            why = lines[-1] if lines else f"exit status {process.poll()}"
            raise Problem(f"the registry does not start: {why}", hint=_HINT)
        time.sleep(0.05)


def _has(there: _Registry, image: Image, blob: Blob) -> bool:
    return there.ask("HEAD", f"/v2/{image.repository}/blobs/{blob.digest}")[0] == 200


def _send(there: _Registry, image: Image, blob: Blob, other: str) -> None:
    """Send a blob, unless it can be had from the repository `other`."""
    query = f"?mount={quote(blob.digest)}&from={quote(other, safe='')}" if other else ""
    status, headers, body = there.ask("POST", f"/v2/{image.repository}/blobs/uploads/{query}", b"")
    if other and status == 201:
        return
    _expect(status, 202, body, image)
    parts = urlsplit(headers["location"])
    query = f"{parts.query}&" if parts.query else ""
    place = f"{parts.path}?{query}digest={quote(blob.digest)}"
    sized = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
    try:
        status, _, body = there.ask("PUT", place, verified(blob), sized)
        _expect(status, 201, body, image)
    except BaseException:
        with contextlib.suppress(Problem):  # else what came of it stays for a week
            there.ask("DELETE", f"{parts.path}?{parts.query}")
        raise


def _tag(there: _Registry, image: Image) -> None:
    """Name the image: until then nobody sees it."""
    place = f"/v2/{image.repository}/manifests/{image.tag}"
    status, _, body = there.ask("PUT", place, image.manifest, {"Content-Type": image.kind})
    _expect(status, 201, body, image)


def _expect(status: int, wanted: int, body: bytes, image: Image) -> None:
    if status != wanted:
        said = " ".join(body.decode("utf-8", "replace").split())[:300]
        raise Problem(
            f"the registry does not take {image.name}: HTTP {status}: {said}",
            hint=f"is its disk full? {_HINT}",
        )
