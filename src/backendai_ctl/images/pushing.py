"""Filling the site's registry. What nodes ask is read-only; it is filled by a second process of the same
program on the same storage, for as long as that takes, which listens on a socket that root alone reaches.

What a client does: the HTTP API of the OCI distribution specification. Only missing blobs are sent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images.layout import Blob, Image, verified
from backendai_ctl.platform import careful, deadline, files
from backendai_ctl.platform.http import Local
from backendai_ctl.topology import registry

_START = 20.0  # seconds until it listens
_TIMEOUT = 120.0  # seconds for an answer
_LINK = 100  # bytes of a file that names a digest
_MOST = 4 << 20  # bytes of a manifest
_TOP = "docker/registry/v2"  # of its storage


def storage(ctx: Context) -> Path:
    """Where the registry keeps its images."""
    return ctx.paths.state / registry.NAME


def held(ctx: Context, image: Image) -> bool:
    """Whether the registry of this host has just this image under its name. It need not run."""
    tag = f"repositories/{image.repository}/_manifests/tags/{image.tag}/current/link"
    try:
        found = careful.read(storage(ctx) / _TOP / tag, _LINK)
    except OSError:
        return False
    return found is not None and found.decode("ascii", "replace").strip() == image.digest


@dataclass(frozen=True)
class Stored:
    """An image in the registry's storage; `size`: bytes of its parts, `config`: as of layout.Image."""

    name: str
    size: int
    config: str


def stored(ctx: Context) -> list[Stored]:
    """The images in the registry of this host, by name. It need not run."""
    top = storage(ctx) / _TOP
    found = []
    for link in sorted(top.glob("repositories/**/_manifests/tags/*/current/link")):
        tag = link.parent.parent
        repository = tag.parent.parent.parent.relative_to(top / "repositories")
        digest = (careful.read(link, _LINK) or b"").decode("ascii", "replace").strip()
        kind, _, number = digest.partition(":")
        text = careful.read(top / "blobs" / kind / number[:2] / number / "data", _MOST)
        manifest = json.loads(text or b"{}")
        parts = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
        size = sum(part["size"] for part in parts)
        config = parts[0]["digest"] if parts else ""
        found.append(Stored(f"{repository}:{tag.name}", size, config))
    return found


def push(ctx: Context, images: Sequence[Image]) -> None:
    """Put images into the registry of this host; Problem if it does not take one."""
    with _writable(ctx) as there:
        known: dict[str, str] = {}  # digest of what it has -> a repository that has it
        for image in images:
            missing = [blob for blob in image.blobs if not _has(there, image, blob)]
            new = [blob for blob in missing if blob.digest not in known]
            size = sum(blob.size for blob in new) / 1e6
            ctx.say(f"Push {image.name}: {len(new)} of {len(image.blobs)} parts, {size:.0f} MB")
            for blob in missing:
                _send(there, image, blob, known.get(blob.digest, ""))
            known |= {blob.digest: image.repository for blob in image.blobs}
            _tag(there, image)


@dataclass(frozen=True)
class _Registry:
    """The process that takes images."""

    path: Path

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


@contextmanager
def _writable(ctx: Context) -> Iterator[_Registry]:
    """A registry that takes images, in a folder of its user's own; ended with the block."""
    server = ctx.facts.servers[registry.NAME]
    owner = _numbers(server.user)
    folder = ctx.paths.run / f"registry-{secrets.token_hex(8)}"
    files.make_folder(folder, mode=0o700, owner=owner)
    files.make_folder(storage(ctx), mode=0o700, owner=owner)  # as its unit would
    path = folder / "socket"
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage(ctx))}},
        "http": {"net": "unix", "addr": str(path)},
    }
    files.write(folder / "registry.json", json.dumps(settings), mode=0o600, owner=owner)
    program = str(ctx.paths.servers / registry.NAME / "bin/docker-registry")
    call = ["setpriv", "--pdeathsig=KILL", f"--reuid={owner[0]}", f"--regid={owner[1]}"]
    call += [
        "--clear-groups",
        "--no-new-privs",
        "--",
        program,
        "serve",
        str(folder / "registry.json"),
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        said = stack.enter_context((folder / "said").open("w+b"))
        process = subprocess.Popen(
            call, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", env={}, umask=0o077
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        _wait(process, path, folder / "said")
        yield _Registry(path)


def _numbers(user: str) -> tuple[int, int]:
    import pwd

    found = pwd.getpwnam(user)
    return found.pw_uid, found.pw_gid


def _wait(process: subprocess.Popen[bytes], path: Path, said: Path) -> None:
    until = time.monotonic() + deadline.left(_START)
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return
        if process.poll() is not None or time.monotonic() > until:
            lines = said.read_text("utf-8", "replace").strip().splitlines()
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
    status, _, body = there.ask("PUT", place, verified(blob), sized)
    _expect(status, 201, body, image)


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
