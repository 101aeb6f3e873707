"""scripts/bench-release: the bundle's size and speed against plain ways, in one run."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from release_tool.bundle import Bundle
from release_tool.tables import duration, megabytes, table
from releasekit.errors import Failure

# What upstream ships on its own, as self-contained PEXes.
CORE = (
    *("manager", "agent", "storage-proxy", "webserver"),
    *("appproxy-coordinator", "appproxy-worker", "client"),
)
_ABOUT = """\
Compare the bundle of dist/ with plain ways. Size: against the seven self-contained PEXes, which bring
neither servers nor images of sessions.
Time, in turns on the same files: ./verify.sh, and unpacking with it, against `sha256sum` and `tar`. All
figures are ratios of what was measured in one run; files are read once before, so that the page
cache is the same for both. verify.sh runs in a mount namespace with its own /var/lib where that can be
had, so that this machine remembers no release."""


def main(root: Path, argv: Sequence[str]) -> int:
    """Print both tables; 0 when everything could be measured."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench-release",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, nargs="?", help="default: the one of --dist")
    parser.add_argument("--dist", type=Path, default=root / "dist", metavar="DIR")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default 3)")
    parser.add_argument(
        "--scratch", type=Path, default=Path(os.environ.get("TMPDIR", "/var/tmp")), metavar="DIR"
    )
    options = parser.parse_args(argv)
    path: Path = options.bundle or find_bundle(options.dist)
    print(sizes(Bundle(path), path.stat().st_size, pexes(options.dist)))
    times = measure(path, options.scratch, options.rounds)
    print(f"\n{speeds(times)}")
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {options.rounds} rounds")
    return 0


def find_bundle(dist: Path) -> Path:
    """The one bundle of a folder that holds all."""
    found = sorted(dist.glob("backendai-*-linux-*.tar"))
    if len(found) != 1:
        raise Failure(f"{dist} holds {len(found)} bundles", hint="run ./pants package ::")
    return found[0]


def pexes(dist: Path) -> dict[str, int]:
    """Size in bytes of each core component's PEX."""
    paths = {name: dist / f"backendai-{name}.pex" for name in CORE}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise Failure(f"{dist} has no {', '.join(missing)}", hint="run ./pants package ::")
    return {name: path.stat().st_size for name, path in paths.items()}


def sizes(bundle: Bundle, total: int, pex: dict[str, int]) -> str:
    """The table of sizes, each as a share of the PEXes."""
    ours_deb = ours_rpm = images = 0
    for path, place in bundle.places.items():
        name = path.rsplit("/", 1)[-1]
        if name.endswith(".rpm"):
            ours_rpm += place.size
        elif name.endswith(".deb"):
            ours_deb += place.size
        elif path.startswith("images/"):
            images += place.size
    plain = sum(pex.values())
    rest = total - ours_deb - ours_rpm - images
    rows = [
        (f"{len(pex)} PEXes: the plain way", plain),
        ("bundle", total),
        ("  our debs", ours_deb),
        ("  our rpms", ours_rpm),
        ("  images of sessions", images),
        ("  the rest: indices, SBOM, licences", rest),
        ("without rpms, as the bundle of debs is", total - ours_rpm),
    ]
    return table(
        ("what", "size", "of the plain way"),
        [(what, megabytes(size), f"{size / plain:.2f}") for what, size in rows],
    )


def measure(bundle: Path, scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, a round at a time. The order turns round by round."""
    times: dict[str, list[float]] = {name: [] for name in ("tar", "sha256sum", "verify.sh")}
    with tempfile.TemporaryDirectory(prefix="bench-release-", dir=scratch) as name:
        folder = Path(name)
        _run(["cat", str(bundle)], folder)  # into the page cache
        for number in range(rounds):
            (folder / "unpacked").mkdir()
            times["tar"].append(_run(["tar", "xf", str(bundle)], folder / "unpacked"))
            top = next((folder / "unpacked").iterdir())
            checks = [
                ("sha256sum", ["sha256sum", "--check", "--quiet", "MANIFEST"]),
                ("verify.sh", ["./verify.sh"]),
            ]
            for way, argv in checks if number % 2 else checks[::-1]:
                with _own_state(argv, folder) as program:
                    times[way].append(_run(program, top))
            shutil.rmtree(folder / "unpacked")
            print(f"round {number + 1} of {rounds}", flush=True)
    return times


def speeds(times: dict[str, list[float]]) -> str:
    """The table of times, each against the plain program."""
    rows = []
    for way, plain in (("tar", ""), ("sha256sum", ""), ("verify.sh", "sha256sum")):
        least, median = min(times[way]), statistics.median(times[way])
        ratio = f"{least / min(times[plain]):.2f}" if plain else ""
        rows.append((way, duration(least), duration(median), ratio))
    both = [a + b for a, b in zip(times["tar"], times["verify.sh"])]
    alone = [a + b for a, b in zip(times["tar"], times["sha256sum"])]
    ratio = f"{min(both) / min(alone):.2f}"
    rows.append(
        ("tar, then sha256sum", duration(min(alone)), duration(statistics.median(alone)), "")
    )
    rows.append(
        ("tar, then verify.sh", duration(min(both)), duration(statistics.median(both)), ratio)
    )
    return table(("what", "least", "median", "against the plain one"), rows)


@contextlib.contextmanager
def _own_state(argv: Sequence[str], folder: Path) -> Iterator[list[str]]:
    """argv that sees an empty /var/lib/backendai; as it is where namespaces are refused."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    inner = f'mkdir -p /var/lib && mount --bind {state} /var/lib && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    program = ["unshare", *user, "--mount", "--propagation=private", "sh", "-c", inner, "sh"]
    works = subprocess.run([*program, "true"], capture_output=True, check=False).returncode == 0
    yield [*(program if works else []), *argv]


def _run(argv: Sequence[str], folder: Path) -> float:
    start = time.monotonic()
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False)
    if done.returncode != 0:
        output = (done.stdout + done.stderr).decode("utf-8", "replace")[-2000:]
        raise Failure(f"{' '.join(argv)} failed:\n{output}")
    return time.monotonic() - start
