"""Make a delta: what the new bundle has and the old one lacks, as small as patches make it."""

from __future__ import annotations

import base64
import hashlib
import lzma
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.progress import Progress
from release_tool.bundle import Bundle, Place
from release_tool.delta_file import first_line, pack_header
from release_tool.inventory import counterparts
from release_tool.layout import KEYRING, MANIFEST, SIGNATURE
from release_tool.partial import Partial
from release_tool.patch import Scratch, apply_patch, make_patch
from release_tool.repack import AS_IS, Piece, packed, pieces_of, probe, unpacked
from releasekit.errors import Failure
from releasekit.files import sha256_of


@dataclass(frozen=True)
class Work:
    """One file that the old bundle lacks; `base` is what it takes the place of."""

    number: int
    new: Place
    sha256: str
    base: Place | None
    repack: bool


@dataclass(frozen=True)
class Made:
    """What goes into the delta for it: `blob` whole, or as a patch."""

    blob: Path
    patch: bool
    pieces: tuple[Piece, ...]


def make_delta(old: Bundle, new: Bundle, target: Path, *, portable: bool) -> dict[str, Any]:
    """Write the delta to `target`, whole or not at all; returns figures (bytes, counts).

    Both bundles must have been verified. `portable`: pack nothing again, so that it does not matter
    whose liblzma is on the machine that applies it; the delta is larger.
    """
    if new.path.is_dir():
        raise Failure(f"{new.path} is a folder", hint="the new bundle must be its tar file")
    parts, work = _plan(old, new, repack=not portable)
    progress = Progress("files made smaller", len(work), sum(job.new.size for job in work))
    with tempfile.TemporaryDirectory(prefix=".delta-", dir=target.parent) as scratch:
        folder = Path(scratch)
        blobs = [_skeleton(new, parts, folder / "tar")]
        for job, made in _made(work, folder, progress):
            part = parts[job.number]
            part.update({"from": "patch" if made.patch else "blob", "blob": len(blobs)})
            if made.patch and job.base:
                part["base"] = _sha256(job.base)
            if made.pieces:
                part["pieces"] = [[piece.preset, piece.size] for piece in made.pieces]
            blobs.append(made.blob)
        _write(target, _header(old, new, parts, blobs), blobs)
    kinds = [part["from"] for part in parts]
    return {
        "size": target.stat().st_size,
        "full": new.size(),
        "ratio": round(target.stat().st_size / new.size(), 4),
        "files": {kind: kinds.count(kind) for kind in ("old", "patch", "blob")},
    }


def _plan(old: Bundle, new: Bundle, *, repack: bool) -> tuple[list[dict[str, Any]], list[Work]]:
    """The parts in the order of the tar, and the files among them that need work."""
    parts: list[dict[str, Any]] = []
    work = []
    sums = {MANIFEST: "", SIGNATURE: "", **new.manifest}
    had, before, end = old.by_content(), counterparts(old, new), 0
    for path, place in sorted(new.places.items(), key=lambda item: item[1].offset):
        if not place.size:
            continue
        parts.append({"from": "tar", "size": place.offset - end})
        end = place.offset + place.size
        sha256 = sums[path] or _sha256(place)
        parts.append({"from": "old", "path": path, "size": place.size, "sha256": sha256})
        if sha256 not in had:
            # What no manifest lists (it and its signature) has no base to be checked by.
            base = old.places.get(before.get(path, ""))
            work.append(Work(len(parts) - 1, place, sha256, base, repack))
    parts.append({"from": "tar", "size": new.size() - end})
    return parts, work


def _skeleton(new: Bundle, parts: list[dict[str, Any]], blob: Path) -> Path:
    """What is between the files of the tar, packed; completes its parts."""
    with new.path.open("rb") as stream, lzma.open(blob, "wb", preset=9) as out:
        for part in parts:
            if part["from"] == "tar":
                data = stream.read(part["size"])
                part["sha256"] = hashlib.sha256(data).hexdigest()
                out.write(data)
            else:
                stream.seek(part["size"], os.SEEK_CUR)
    return blob


def _made(work: list[Work], folder: Path, progress: Progress) -> Iterator[tuple[Work, Made]]:
    """Results in the order of the tar; the largest files are begun first."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        futures: dict[int, Future[Made]] = {}
        try:
            for job in sorted(work, key=lambda job: -job.new.size):
                futures[job.number] = pool.submit(_make, job, folder)
                futures[job.number].add_done_callback(
                    lambda _, size=job.new.size: progress.add(1, size)  # type: ignore[misc]
                )
            for job in work:
                yield job, futures[job.number].result()
        except BaseException:
            for future in futures.values():
                future.cancel()
            progress.clear()
            raise
    progress.end()


def _make(job: Work, folder: Path) -> Made:
    """The smallest of: a patch of unpacked packages, a patch, the file."""
    whole = folder / f"{job.number}.whole"
    if job.repack and job.base:
        pieces = tuple(pieces_of(job.new, presets=True))
        if pieces and all(piece.preset >= AS_IS for piece in pieces):
            patch = folder / f"{job.number}.repack"
            if _right(job, folder, patch, pieces) and patch.stat().st_size < job.new.size:
                return Made(patch, True, pieces)
    patch = folder / f"{job.number}.patch"
    if _right(job, folder, patch, ()) and patch.stat().st_size < job.new.size:
        return Made(patch, True, ())
    patch.unlink()
    with whole.open("wb") as out:
        out.writelines(job.new.blocks())
    return Made(whole, False, ())


def _right(job: Work, folder: Path, patch: Path, pieces: tuple[Piece, ...]) -> bool:
    """Make a patch and apply it: whether that gave the file again."""
    with Scratch(base_form(job.base, bool(pieces)), folder) as old:
        new_blocks = unpacked(job.new, pieces) if pieces else job.new.blocks()
        with Scratch(new_blocks, folder) as new, patch.open("wb") as out:
            out.writelines(make_patch(old, new))
        digest = hashlib.sha256()
        with patch.open("rb") as stream:
            blocks = apply_patch(old, stream)
            for block in packed(blocks, pieces) if pieces else blocks:
                digest.update(block)
    return digest.hexdigest() == job.sha256


def base_form(base: Place | None, repack: bool) -> Iterable[bytes]:
    """The old file as patches know it: unpacked if they unpack and it can be, else as it is."""
    if base is None:
        return ()
    pieces = pieces_of(base, presets=False) if repack else []
    return unpacked(base, pieces) if pieces else base.blocks()


def _sha256(place: Place) -> str:
    digest = hashlib.sha256()
    for block in place.blocks():
        digest.update(block)
    return digest.hexdigest()


def _header(
    old: Bundle, new: Bundle, parts: list[dict[str, Any]], blobs: list[Path]
) -> dict[str, Any]:
    presets = {preset for part in parts for preset, _ in part.get("pieces", ()) if preset >= 0}
    return {
        "old": dict(old.facts.values),
        "new": dict(new.facts.values),
        "file": new.path.name,
        "size": new.size(),
        "sha256": sha256_of(new.path),
        "manifest": new.text(MANIFEST),
        "signature": base64.b64encode(new.read(SIGNATURE)).decode(),
        "keyring": base64.b64encode(new.read(KEYRING)).decode(),
        "blobs": [{"size": blob.stat().st_size, "sha256": sha256_of(blob)} for blob in blobs],
        "probes": {str(preset): probe(preset) for preset in sorted(presets)},
        "parts": parts,
    }


def _write(target: Path, header: dict[str, Any], blobs: list[Path]) -> None:
    raw = pack_header(header)
    with Partial(target) as out:
        out.back_to(0, hashlib.sha256())
        out.write(first_line(raw) + raw)
        for blob in blobs:
            with blob.open("rb") as stream:
                for block in iter(lambda: stream.read(1 << 20), b""):
                    out.write(block)
        out.finish(out.digest.hexdigest())
