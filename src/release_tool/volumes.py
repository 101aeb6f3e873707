"""Cut a bundle into volumes that fit on media, and join them again.

NAME.volumes lists them. Its lines are those of `sha256sum`, which checks the volumes by itself; size
and sha256 of the whole are in comment lines before. The list shows damage, it proves nothing about
who made it: that is MANIFEST.sig in the bundle, or NAME.volumes.sig where the list was signed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bootstrap.progress import Progress
from release_tool.bundle import Place
from release_tool.partial import Partial
from releasekit.errors import Failure
from releasekit.files import write_atomic

LIST, SIGNATURE = ".volumes", ".volumes.sig"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
_HEAD = re.compile(r"# whole: ([0-9a-f]{64}) (\d+) (\d+) (\S+)")


@dataclass(frozen=True)
class Volume:
    """One volume; `size` is in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """What NAME.volumes says. `step`: bytes of every volume but the last."""

    name: str
    size: int
    sha256: str
    step: int
    volumes: tuple[Volume, ...]

    def text(self) -> str:
        """The file itself."""
        lines = [
            "# Volumes of a release. Check them: sha256sum -c --ignore-missing THIS-FILE",
            "# Join them: scripts/release join THIS-FILE, or: cat VOLUMES > NAME, and compare",
            f"# whole: {self.sha256} {self.size} {self.step} {self.name}",
            *(f"{volume.sha256}  {volume.name}" for volume in self.volumes),
        ]
        return "\n".join(lines) + "\n"


def parse_size(text: str) -> int:
    """Bytes of "700M", "4.7G" (decimal), "650MiB" (binary); Failure for anything else."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMG]I?)?B?", text.strip().upper())
    size = int(Fraction(match.group(1)) * _UNITS[match.group(2) or ""]) if match else 0
    if size < 1:
        raise Failure(f"--size: {text!r} is not a size", hint="such as 700M, 4.3G or 650MiB")
    return size


def split(bundle: Path, size: int, target: Path) -> Listing:
    """Write volumes of `size` bytes and their list into the folder `target`.

    The list comes last: when it is there, all of them are.
    """
    total = bundle.stat().st_size
    if size >= total:
        raise Failure(
            f"{bundle.name} has {total} bytes and fits on one volume of {size}",
            hint="copy it as it is",
        )
    count = -(-total // size)
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{bundle.name}{LIST}").unlink(missing_ok=True)
    (target / f"{bundle.name}{SIGNATURE}").unlink(missing_ok=True)
    whole = hashlib.sha256()
    progress = Progress("volumes", count, total)
    digits = max(3, len(str(count)))
    volumes = []
    for number in range(count):
        name = f"{bundle.name}.{number + 1:0{digits}}"
        place = Place(bundle, number * size, min(size, total - number * size))
        volumes.append(_write_volume(place, target / name, whole, progress))
    progress.end()
    listing = Listing(bundle.name, total, whole.hexdigest(), size, tuple(volumes))
    write_atomic(target / f"{bundle.name}{LIST}", listing.text().encode())
    return listing


def _write_volume(place: Place, path: Path, whole: hashlib._Hash, progress: Progress) -> Volume:
    digest = hashlib.sha256()
    with Partial(path) as out:
        out.back_to(0, hashlib.sha256())
        for block in place.blocks():
            whole.update(block)
            digest.update(block)
            out.write(block)
            progress.add(0, len(block))
        out.finish(digest.hexdigest())
    progress.add(1, 0)
    return Volume(path.name, place.size, digest.hexdigest())


def find_list(given: Path) -> Path:
    """The list for what the user named: itself, a volume beside it, or the bundle's own name."""
    names = [given.name, given.name + LIST, re.sub(r"\.\d{3,}$", "", given.name) + LIST]
    for name in names:
        path = given.with_name(name)
        if name.endswith(LIST) and path.is_file():
            return path
    raise Failure(
        f"{given}: there is no {names[-1]} beside it",
        hint="copy the list of the volumes (NAME.volumes) along with them",
    )


def read_list(path: Path) -> Listing:
    """Parse NAME.volumes; Failure when it is damaged."""
    text = path.read_text("utf-8", "replace")
    head = _HEAD.search(text)
    rows = [line.split("  ", 1) for line in text.splitlines() if line and line[0] != "#"]
    if not head or not rows:
        raise Failure(f"{path} is damaged: it lists no volumes", hint="copy it again")
    total, step, name = int(head.group(2)), int(head.group(3)), head.group(4)
    sizes = [min(step, total - at) for at in range(0, total, max(step, 1))]
    right = len(rows) == len(sizes) and "/" not in name and name not in (".", "..")
    right = right and all(re.fullmatch(r"[0-9a-f]{64}", row[0]) for row in rows)
    if not right or any(row[1:] != [f"{name}{Path(row[-1]).suffix}"] for row in rows):
        raise Failure(f"{path} is damaged: its lines do not fit together", hint="copy it again")
    volumes = tuple(Volume(row[1], size, row[0]) for row, size in zip(rows, sizes))
    return Listing(name, total, head.group(1), step, volumes)


def join(listing: Listing, folders: Sequence[Path], final: Path) -> bool:
    """Join the volumes, wherever in `folders` they are, to `final`. True when there was work.

    A volume that is missing or broken is named; those before it stay joined in NAME.part, and the
    next run goes on from there, even when they are gone (another stick).
    """
    progress = Progress("joining", len(listing.volumes), listing.size)
    if final.exists():
        if final.stat().st_size == listing.size and _sha256(final, progress) == listing.sha256:
            return False
        raise Failure(
            f"{final} exists and is not what {listing.name}{LIST} lists",
            hint="move it away, or join to another place with --output",
        )
    with Partial(final) as out:
        sizes = [(volume.size, volume.sha256) for volume in listing.volumes]
        complete = out.resume(sizes, lambda size: progress.add(1, size))
        for volume in listing.volumes[complete:]:
            _append(volume, _find(volume, folders, out), out, progress)
        progress.end()
        out.finish(listing.sha256)
    return True


def _find(volume: Volume, folders: Sequence[Path], out: Partial) -> Path:
    for folder in folders:
        path = folder / volume.name
        if path.is_file() and path.stat().st_size == volume.size:
            return path
    there = next((f / volume.name for f in folders if (f / volume.name).is_file()), None)
    what = f"{there} is broken: it has not {volume.size} bytes" if there else ""
    raise Failure(
        what or f"{volume.name} is missing in {', '.join(str(folder) for folder in folders)}",
        hint=f"bring it and run the same again (--from DIR names further places); "
        f"{out.done} bytes are joined and kept in {out.path}",
    )


def _append(volume: Volume, path: Path, out: Partial, progress: Progress) -> None:
    start, before, digest = out.done, out.digest.copy(), hashlib.sha256()
    for block in Place(path, 0, volume.size).blocks():
        digest.update(block)
        out.write(block)
        progress.add(0, len(block))
    if digest.hexdigest() != volume.sha256:
        out.back_to(start, before)
        raise Failure(
            f"{path} is broken: its sha256 is not the listed one",
            hint=f"copy {volume.name} again and run the same again; what was joined before is kept",
        )
    out.sync()
    progress.add(1, 0)


def _sha256(path: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    for block in Place(path, 0, path.stat().st_size).blocks():
        digest.update(block)
        progress.add(0, len(block))
    progress.clear()
    return digest.hexdigest()
