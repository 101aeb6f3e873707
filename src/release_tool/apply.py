"""Apply a delta: the old bundle and the delta give the new bundle's tar, bit for bit.

The new manifest, which travels in the delta, must be signed before anything else is believed. Every
file of the old bundle is checked when it is used, every part of the new tar when it is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bootstrap.progress import Progress
from release_tool.bundle import BLOCK, Bundle, Place
from release_tool.delta import base_form
from release_tool.delta_file import DeltaFile
from release_tool.layout import KEYRING
from release_tool.partial import Partial
from release_tool.patch import Scratch, apply_patch
from release_tool.repack import DEFLATE, Piece, packed, probe
from release_tool.signature import Signed, check_signature
from release_tool.verify import check_fingerprint, verify
from releasekit.errors import Failure

Bases = dict[str, tuple[str, Place]]  # path and place in the old bundle, by sha256
Result = tuple[dict[str, Any], Iterable[bytes]]


def apply_delta(old: Bundle, delta: DeltaFile, final: Path, fingerprint: str) -> Signed:
    """Write the new bundle to `final`, or raise Failure; a later run continues an interrupted one.

    Without `fingerprint` a key of the old bundle's key ring must have signed the new one; with it,
    that key of the new ring.
    """
    signed = _check_delta(old, delta, fingerprint)
    bases = _check_base(old, delta)
    _check_packing(delta)
    keyring = delta.keyring if fingerprint else old.read(KEYRING)
    if final.exists():
        raise Failure(f"{final} exists", hint="move it away, or name another with --output")
    progress = Progress("writing", len(delta.parts), delta.size)
    with Partial(final) as out:
        sizes = [(part["size"], part["sha256"]) for part in delta.parts]
        first = out.resume(sizes, lambda size: progress.add(1, size))
        with contextlib.ExitStack() as stack:
            stack.callback(progress.clear)
            results = _Builder(bases, delta, first, final.parent).results()
            stack.callback(results.close)
            for part, blocks in results:
                _write(part, blocks, out, progress)
        progress.end()
        out.sync()
        try:
            verify(Bundle(out.path), signed.fingerprint, keyring)
        except Failure:
            out.path.unlink()
            raise
        out.finish(delta.sha256)
    return signed


def _check_delta(old: Bundle, delta: DeltaFile, fingerprint: str) -> Signed:
    keyring = delta.keyring if fingerprint else old.read(KEYRING)
    try:
        signed = check_signature(
            delta.manifest_data, delta.signature, keyring, f"{delta.path}: the new MANIFEST"
        )
    except Failure as failure:
        if fingerprint:
            raise
        raise Failure(
            f"{failure.what}\nchecked against the keys that {old.path} brought",
            hint="if the publisher has a new key, name it with --fingerprint; else do not use it",
        ) from None
    check_fingerprint(signed, fingerprint, str(delta.path))
    progress = Progress("checking the delta", 1, delta.end)
    for size in delta.check():
        progress.add(0, size)
    progress.add(1, 0)
    progress.end()
    return signed


def _check_base(old: Bundle, delta: DeltaFile) -> Bases:
    """Files of the old bundle by sha256; Failure that names what the delta needs and it lacks."""
    names = old.by_content()
    needed: dict[str, str] = {}
    for part in delta.parts:
        base = part.get("base", "") if part["from"] == "patch" else part["sha256"]
        if part["from"] in ("old", "patch") and base:
            needed[base] = part["path"]
    lacking = [path for sha256, path in needed.items() if names.get(sha256, "") not in old.places]
    if lacking:
        shown = "".join(f"\n  {path}" for path in lacking[:8])
        more = f"\n  and {len(lacking) - 8} more" if lacking[8:] else ""
        raise Failure(
            f"{old.path} is {old.facts.title()} of {old.facts['date']}; the delta builds on "
            f"{delta.old.title()} of {delta.old['date']}.\n"
            f"{len(lacking)} files that it needs are not the same there, to make:{shown}{more}",
            hint=f"give the bundle {delta.old['version']}, number {delta.old['number']}, or get a "
            "delta from the release you have, or the full bundle",
        )
    return {sha256: (names[sha256], old.places[names[sha256]]) for sha256 in needed}


def _check_packing(delta: DeltaFile) -> None:
    for preset, expected in delta.header["probes"].items():
        if probe(int(preset)) != expected:
            raise Failure(
                f"{'zlib' if int(preset) >= DEFLATE else 'liblzma'} of this machine packs other bytes "
                "than that of the machine which made the delta",
                hint="apply it on another machine (any Debian 11 to 13 does), or have it made with "
                "--portable",
            )


def _write(part: dict[str, Any], blocks: Iterable[bytes], out: Partial, progress: Progress) -> None:
    start, before, digest = out.done, out.digest.copy(), hashlib.sha256()
    for block in blocks:
        digest.update(block)
        out.write(block)
        progress.add(0, len(block))
    if digest.hexdigest() != part["sha256"] or out.done - start != part["size"]:
        out.back_to(start, before)
        what = part.get("path", "the tar")
        raise Failure(
            f"{what} did not come out as it should",
            hint="the delta may have been made wrong: have it made again with --portable, or get "
            "the full bundle",
        )
    progress.add(1, 0)


class _Builder:
    """Makes the parts from `first` on; patched ones a few ahead, on all cores."""

    def __init__(self, bases: Bases, delta: DeltaFile, first: int, folder: Path) -> None:
        self._bases, self._delta, self._first, self._folder = bases, delta, first, folder
        self._stopped = threading.Event()
        self._ahead = len(os.sched_getaffinity(0)) + 1
        self._waiting = deque(part for part in delta.parts[first:] if part["from"] == "patch")
        self._running: deque[Future[Scratch]] = deque()

    def results(self) -> Generator[Result, None, None]:
        """Each part with its content, in order."""
        with ThreadPoolExecutor(self._ahead - 1) as pool, self._delta.blob(0) as blob:
            try:
                with lzma.open(blob) as skeleton:
                    for number, part in enumerate(self._delta.parts):
                        between = _next(skeleton, part["size"] if part["from"] == "tar" else 0)
                        if number >= self._first:
                            yield from self._result(part, between, pool)
                        for _ in between:  # it was written before
                            pass
            finally:
                self._stopped.set()

    def _result(
        self, part: dict[str, Any], between: Iterator[bytes], pool: ThreadPoolExecutor
    ) -> Iterator[Result]:
        if part["from"] == "tar":
            yield part, between
        elif part["from"] == "old":
            yield part, _checked(self._bases[part["sha256"]], part["sha256"])
        elif part["from"] == "blob":
            with self._delta.blob(part["blob"]) as stream:
                yield part, iter(lambda: stream.read(BLOCK), b"")
        else:
            self._begin(pool)
            with self._running.popleft().result() as made:
                self._begin(pool)
                yield part, made.blocks()

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        while self._waiting and len(self._running) < self._ahead:
            self._running.append(pool.submit(self._patched, self._waiting.popleft()))

    def _patched(self, part: dict[str, Any]) -> Scratch:
        base = self._bases.get(part.get("base", ""))
        if base:
            for _ in self._watched(_checked(base, part["base"]), base[1].size):
                pass
        pieces = [Piece(preset, size, 0) for preset, size in part.get("pieces", ())]
        form = base_form(base[1] if base else None, bool(pieces))
        scratch = Scratch(self._watched(form), self._folder)
        with scratch as before, self._delta.blob(part["blob"]) as stream:
            blocks = apply_patch(before, stream)
            made = packed(blocks, pieces) if pieces else blocks
            return Scratch(self._watched(made, part["size"]), self._folder)

    def _watched(self, blocks: Iterable[bytes], limit: int = 0) -> Iterator[bytes]:
        """The blocks; no more of them once the work was given up, or beyond `limit` bytes."""
        done = 0
        for block in blocks:
            done += len(block)
            if self._stopped.is_set() or (limit and done > limit):
                raise Failure("a patch makes more than it should: have the delta made again")
            yield block


def _next(stream: lzma.LZMAFile, size: int) -> Iterator[bytes]:
    """That many bytes of a stream, in blocks; fewer at its end."""
    while size and (block := stream.read(min(BLOCK, size))):
        size -= len(block)
        yield block


def _checked(base: tuple[str, Place], sha256: str) -> Iterator[bytes]:
    """The content of a file of the old bundle; Failure at its end when it is not what it was."""
    path, place = base
    digest = hashlib.sha256()
    for block in place.blocks():
        digest.update(block)
        yield block
    if digest.hexdigest() != sha256:
        inside = "" if place.file.as_posix().endswith(path) else f": {path}"
        raise Failure(
            f"{place.file}{inside} is damaged: it is not what its MANIFEST says",
            hint="copy the old bundle again; scripts/release verify shows all that is wrong with it",
        )
