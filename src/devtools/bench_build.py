"""scripts/bench-build: what is built again after nothing, one line, or one wheel has changed."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.cache import Cache, default_cache
from bootstrap.setup import stamp_path
from devtools import edits
from devtools.checkout import copy_sources
from devtools.compare import sums
from release_tool.tables import duration, megabytes, table
from releasekit.errors import Failure
from releasekit.files import Entry, remove_tree

GOAL = 5.0  # seconds for a warm build of nothing
# A few small files: what Pants itself takes, without writing all of dist/ anew as it always does.
SMALL = "packaging/roles::"
_LISTS = {"SHA256SUMS", "release.json"}  # of all artefacts: they follow every change
_RAN = re.compile(r"\[INFO\] Completed: (.*)$", re.MULTILINE)
_ABOUT = """\
Measure how much is built again. Works on a copy of the checkout with the user's cache; the checkout
itself is never edited, and what enters the cache is taken out again. Without a build before, the
first step is a cold build. Times are those of this machine as busy as it is now."""


@dataclass(frozen=True)
class Build:
    """One `./pants package ::`: seconds, the processes that Pants ran, sha256 by artefact."""

    seconds: float
    processes: tuple[str, ...]
    artefacts: dict[str, str]


@dataclass(frozen=True)
class Step:
    """A row of the table."""

    title: str
    build: Build
    changed: frozenset[str]
    expected: frozenset[str]

    @property
    def verdict(self) -> str:
        """Whether exactly what holds the change has changed."""
        if self.changed == self.expected:
            return "exactly"
        missing, more = self.expected - self.changed, self.changed - self.expected
        parts = [f"missing: {', '.join(sorted(missing))}"] if missing else []
        return "; ".join(parts + ([f"also: {', '.join(sorted(more))}"] if more else []))


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when only what had to be built was built, and a warm build is within the goal; else 1."""
    parser = argparse.ArgumentParser(prog="scripts/bench-build", description=_ABOUT)
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="warm builds (default 5)")
    parser.add_argument(
        "--wheel", default="humanize", metavar="NAME", help="distribution to change (humanize)"
    )
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    token = f"bench-{secrets.token_hex(4)}"  # new each time, so that no store knows the result
    with scratch(root) as checkout:
        before = build(checkout)
        print(f"first build, which also starts the daemon: {duration(before.seconds)}", flush=True)
        warm = [build(checkout) for _ in range(options.runs)]
        small = [build(checkout, SMALL) for _ in range(options.runs)]
        steps = list(_steps(checkout, before, token, options.wheel))
        real = sums(checkout / "dist")
        if {name: real[name] for name in steps[-1].build.artefacts} != steps[-1].build.artefacts:
            raise Failure("dist/SHA256SUMS is not what is in dist/", hint="please report it")
        print(report({"nothing": warm, f"nothing, {SMALL} alone": small}, steps))
        files = {path.name: path.stat().st_size for path in (checkout / "dist").iterdir()}
        print(f"\n{sizes(files)}")
    wrong = [step for step in steps if step.verdict != "exactly"]
    return 1 if wrong or _median(warm) > GOAL else 0


def build(checkout: Path, specs: str = "::") -> Build:
    """Run `./pants package SPECS` in a checkout; Failure with its output when it fails."""
    start = time.monotonic()
    done = subprocess.run(
        ["./pants", "package", specs], cwd=checkout, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise Failure(f"./pants package {specs} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return Build(seconds, processes_of(done.stderr), artefacts_of(checkout / "dist/SHA256SUMS"))


def processes_of(log: str) -> tuple[str, ...]:
    """The processes that Pants says it ran, in order. Cached ones are not among them."""
    return tuple(_RAN.findall(log))


def artefacts_of(path: Path) -> dict[str, str]:
    """sha256 by name, of a file as sha256sum writes it."""
    pairs = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: digest for digest, name in pairs}


def changed(before: Build, after: Build) -> frozenset[str]:
    """The artefacts that are not what they were, the lists of all apart."""
    names = {*before.artefacts, *after.artefacts} - _LISTS
    return frozenset(n for n in names if before.artefacts.get(n) != after.artefacts.get(n))


def _steps(checkout: Path, before: Build, token: str, wheel: str) -> Iterator[Step]:
    dist = checkout / "dist"

    edits.edit_template(checkout, token)
    after = build(checkout)
    expected = edits.holders(dist, pex_part="", path_part="/lib/systemd/system/backendai-")
    yield Step("a line in the unit template", after, changed(before, after), frozenset(expected))

    edits.edit_component(checkout, token)
    before, after = after, build(checkout)
    client = {name for name in after.artefacts if re.match(r"backendai-client[-_][0-9]", name)}
    yield Step("the summary of the client", after, changed(before, after), frozenset(client))

    with new_wheel(checkout, default_cache(), wheel, token):
        before, after = after, build(checkout)
        info = f"{wheel.replace('-', '_')}-"
        expected = edits.holders(dist, pex_part=f".deps/{info}", path_part=f"/site-packages/{info}")
        yield Step(f"the wheel {wheel}", after, changed(before, after), frozenset(expected))


@contextlib.contextmanager
def new_wheel(checkout: Path, cache: Cache, name: str, token: str) -> Iterator[None]:
    """Lock another wheel, put into the cache as if fetched; taken out at the end."""
    locked = edits.locked_wheel(checkout, name)
    target = checkout.parent / locked.filename
    entry = edits.other_wheel(cache.store.path(locked), target, token)
    with _stored(checkout, cache, entry, target):
        edits.edit_lock(checkout, name, entry)
        yield


@contextlib.contextmanager
def new_deb(checkout: Path, cache: Cache, key: str, token: str) -> Iterator[None]:
    """The same for a Debian package of the lock: an update of it."""
    locked = edits.locked_deb(checkout, key)
    entry, target = edits.other_deb(cache.store.path(locked), checkout.parent, token)
    with _stored(checkout, cache, entry, target):
        edits.edit_debian_lock(checkout, key, entry)
        yield


@contextlib.contextmanager
def _stored(checkout: Path, cache: Cache, entry: Entry, file: Path) -> Iterator[None]:
    stored = cache.store.add(entry, file)
    try:
        yield
    finally:
        stamp_path(cache.root, checkout).unlink(missing_ok=True)
        remove_tree(stored.parent)


def report(warm: Mapping[str, Sequence[Build]], steps: Sequence[Step]) -> str:
    """The table, and what each step built and changed. `warm` has the builds of nothing."""
    rows = []
    for title, runs in warm.items():
        times = ", ".join(f"{run.seconds:.1f}" for run in runs)
        count = sum(len(run.processes) for run in runs)
        median = duration(_median(runs))
        rows.append((f"{title} ({len(runs)} times: {times})", median, str(count), "0", "exactly"))
    for step in steps:
        counts = (str(len(step.build.processes)), str(len(step.changed)))
        rows.append((step.title, duration(step.build.seconds), *counts, step.verdict))
    head = ("changed", "wall time", "processes run", "artefacts changed", "those that hold it")
    lines = [table(head, rows)]
    for step in steps:
        lines += ["", f"{step.title} changed: {', '.join(sorted(step.changed)) or 'nothing'}"]
        lines += [f"  ran: {name}" for name in step.build.processes]
    return "\n".join(lines)


def sizes(files: dict[str, int]) -> str:
    """Debs against PEXes: all, and without the accelerators, whose PEXes repeat the agent."""
    rows = []
    for title, kept in (
        ("all", files),
        ("without accelerators", {n: s for n, s in files.items() if "accelerator" not in n}),
    ):
        debs = sum(size for name, size in kept.items() if name.endswith(".deb"))
        pexes = sum(size for name, size in kept.items() if name.endswith(".pex"))
        ratio = f"{debs / pexes:.2f}" if pexes else "-"
        rows.append((title, megabytes(debs), megabytes(pexes), ratio))
    return table(("artefacts", "debs", "PEXes", "debs / PEXes"), rows)


def _median(runs: Sequence[Build]) -> float:
    return statistics.median(run.seconds for run in runs)


@contextlib.contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A copy of the checkout whose daemon ends with it."""
    with tempfile.TemporaryDirectory(prefix="backendai-bench-", dir=_disk()) as name:
        checkout = Path(name) / "checkout"
        checkout.mkdir()
        copy_sources(root, checkout)
        try:
            yield checkout
        finally:
            _stop_daemon(checkout)


def _disk() -> str:
    return os.environ.get("TMPDIR", "/var/tmp")


def _stop_daemon(checkout: Path) -> None:
    """End Pants' daemon of this checkout, and no other: its working folder tells whose it is."""
    for path in checkout.glob(".pids/*/pantsd/pid"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text())
            if Path(f"/proc/{pid}/cwd").resolve() == checkout.resolve():
                os.kill(pid, signal.SIGTERM)
                _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    print(f"warning: Pants' daemon (process {pid}) does not end", file=sys.stderr)
