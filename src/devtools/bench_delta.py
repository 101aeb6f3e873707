"""scripts/bench-delta: the delta between two releases that Pants built, against the whole bundle."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bootstrap.cache import default_cache
from devtools import edits
from devtools.bench_build import build, new_deb, new_wheel, scratch
from devtools.bench_release import find_bundle
from release_tool.tables import duration, megabytes, table
from releasekit.errors import Failure
from releasekit.files import sha256_of

GOAL = 0.20  # of the whole bundle
WHEEL = "backend-ai-storage-proxy"  # one component alone has it
DEB = "trixie/containerd"  # the largest of Debian's packages
_ABOUT = """\
Build the release of this checkout and the next one, in a copy: another number, revision and date, so
that every package of ours is another; one module of one component changed; and an update of one Debian
package. Then make the delta, apply it, compare the result bit for bit, and try it on a broken base."""


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when the delta is within the goal, gives the new bundle, and refuses a broken base; else 1."""
    parser = argparse.ArgumentParser(prog="scripts/bench-delta", description=_ABOUT)
    parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    token = f"bench-{secrets.token_hex(4)}"  # new each time, so that no store knows the result
    cache = default_cache()
    with scratch(root) as checkout:
        place = checkout.parent
        old = _built(checkout, place / "old")
        edits.next_release(checkout)
        with new_wheel(checkout, cache, WHEEL, token), new_deb(checkout, cache, DEB, token):
            new = _built(checkout, place / "new")
        delta, made = place / "delta", place / "made.tar"
        seconds = {
            "make": _release(root, "delta", old, new, "--output", delta),
            "apply": _release(root, "apply", old, delta, "--output", made),
        }
        same = sha256_of(made) == sha256_of(new)
        made.unlink()
        refused = _refuses_broken(root, old, delta, made)
        size, whole = delta.stat().st_size, new.stat().st_size
    rows = [
        ("new bundle", megabytes(whole), "1.00"),
        ("delta", megabytes(size), f"{size / whole:.3f}"),
    ]
    print(table(("what", "size", "of the bundle"), rows))
    print(
        f"\nmade in {duration(seconds['make'])}, applied in {duration(seconds['apply'])}; "
        f"the result is {'the new bundle bit for bit' if same else 'ANOTHER bundle'}; "
        f"a broken base is {'refused' if refused else 'TAKEN'}"
    )
    return 0 if size <= GOAL * whole and same and refused else 1


def _built(checkout: Path, folder: Path) -> Path:
    """The bundle of a build, moved out of the way of the next one."""
    print(f"building the {folder.name} release", file=sys.stderr, flush=True)
    build(checkout)
    bundle = find_bundle(checkout / "dist")
    folder.mkdir()
    return bundle.rename(folder / bundle.name)


def _release(root: Path, *words: str | Path) -> float:
    """Seconds of a call of scripts/release, which must succeed."""
    began = time.monotonic()
    done = _call(root, *words)
    if done.returncode:
        raise Failure(f"scripts/release {words[0]} failed:\n{done.stderr}")
    return time.monotonic() - began


def _refuses_broken(root: Path, old: Path, delta: Path, made: Path) -> bool:
    """Whether a base with one flipped bit in its middle is refused, and leaves nothing behind."""
    with old.open("r+b") as stream:
        stream.seek(old.stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))
    done = _call(root, "apply", old, delta, "--output", made)
    return done.returncode == 1 and not made.exists()


def _call(root: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    call = [str(root / "scripts/release"), *map(str, words)]
    return subprocess.run(call, capture_output=True, text=True, check=False)
