"""scripts/reproduce: build the release twice, everything around it varied, and compare."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from bootstrap import source
from bootstrap.cache import default_cache
from bootstrap.signing import PASSPHRASE_FD, passphrase
from devtools.against import KEYS, hold_against, open_bundle, sources_of, tell
from devtools.cache import built_here, fetch_all, share_inputs
from devtools.compare import SAME, Row, compare, explain, most_telling
from devtools.signing import KEY, signing_key
from devtools.variants import SHIFT, Machine, Variant, probe_machine, script, unshare, variants
from release_tool.tables import duration, megabytes, table
from releasekit.elf import is_elf, read_elf
from releasekit.errors import Failure
from releasekit.files import remove_tree, write_atomic

_HERE = Path(__file__).resolve().parent
_SHOWN = ("error", "warning", "hint", "DRIFT")
_ABOUT = """\
Build the release twice from the same sources, from empty Pants stores and with as much of the
surroundings varied as this machine allows, and compare the sha256 of every artefact. Locked files
are shared with the user's cache; all that is derived from them is made anew. Nothing outside the
two builds changes: not the host name, not the clock. Both are signed by one key: the file that
BACKENDAI_SIGNING_KEY names, or a throw-away one. Needs about 12 GB on the disk of --scratch, and
about four times as long as one cold build. Exit status: 0 same, 1 different, 2 wrong usage.

With --against: check the signature of a bundle, build the commit that its provenance names once, in
the more varied surroundings, and compare with what was shipped. Signatures are left out of that
comparison: whoever checks a release does not hold its key."""


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when every artefact is the same, 1 when not."""
    parser = argparse.ArgumentParser(
        prog="scripts/reproduce",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", metavar="SPEC", default=["::"], help="Pants addresses")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave both results here")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="BUNDLE",
        help="compare with a shipped bundle (tar or folder)",
    )
    parser.add_argument(
        "--fingerprint", default="", help="the key that must have signed the bundle"
    )
    parser.add_argument(
        "--this-checkout",
        action="store_true",
        help="with --against: build the sources as they are here, whatever commit is named",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        default=Path(os.environ.get("TMPDIR", "/var/tmp")),
        help="folder to work below, which other users can enter (default: $TMPDIR or /var/tmp)",
    )
    options = parser.parse_args(argv)
    keep: Path | None = options.keep
    if keep and keep.exists() and any(keep.iterdir()):
        parser.error(f"--keep: {keep} is not empty")
    signal.signal(signal.SIGTERM, _interrupt)
    if options.against:
        with _scratch(options.scratch) as scratch:
            return _against(root, options, scratch)
    machine = probe_machine()
    fetch_all(root)
    with _scratch(options.scratch) as scratch:
        first, second = variants(scratch, machine)
        clock = _make_clock(scratch, machine)
        key = signing_key(scratch / "signing-key.asc")
        signing = Signing(key, passphrase() if os.environ.get(KEY) else None)
        seen = [
            _build(root, variant, machine, clock, options.only, signing)
            for variant in (first, second)
        ]
        print(f"\n{varied(seen[0], seen[1], reasons(machine))}\n\n{_notes(machine)}\n")
        rows = compare(first.dist, second.dist)
        code = report(rows, first.dist, second.dist)
        if options.record:
            differing = [name for name in seen[0] if seen[0][name] != seen[1][name]]
            commit = source.environment(root)["BACKENDAI_COMMIT"]
            verdicts = {row.name: row.result == SAME for row in rows}
            _record(options.record, "twice", commit, verdicts, differing)
        if keep:
            _keep(keep, first, second)
    return code


def _against(root: Path, options: argparse.Namespace, scratch: Path) -> int:
    """Build what the bundle's provenance names, in the more varied surroundings; compare, and say so."""
    shipped = open_bundle(options.against, options.fingerprint)
    sources = sources_of(shipped, root, scratch / "sources", as_is=options.this_checkout)
    machine = probe_machine()
    fetch_all(sources)
    _, variant = variants(scratch, machine)
    clock = _make_clock(scratch, machine)
    key = signing_key(scratch / "signing-key.asc", {})  # never the user's own: it is not needed
    _build(sources, variant, machine, clock, options.only, Signing(key))
    results = hold_against(shipped, variant.dist, scratch / "shipped", whole=options.only == ["::"])
    if options.keep:
        _keep(options.keep, variant)
    if options.record:
        verdicts = {held.name: held.result in (SAME, KEYS) for held in results}
        _record(options.record, "shipped", shipped.commit, verdicts, ())
    return tell(results)


def _record(
    path: Path, how: str, commit: str, verdicts: Mapping[str, bool], varied_: Sequence[str]
) -> None:
    """The result for the release page (packaging/reproducibility.json): packages and PEXes alone.

    The page is in the bundle and holds this result, so it cannot be the result of page and bundle.
    """
    counted = {n: same for n, same in verdicts.items() if n.endswith((".deb", ".rpm", ".pex"))}
    result = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "how": how,
        "commit": commit,
        "artefacts": len(counted),
        "identical": sum(counted.values()),
        "varied": list(varied_),
    }
    write_atomic(path, (json.dumps(result, indent=1) + "\n").encode())


def reasons(machine: Machine) -> dict[str, str]:
    """Why something may be the same in both variants."""
    found = {"static programs": "what no library reaches"}
    if not machine.namespaces:
        closed = "this machine refuses namespaces (unshare)"
        names = ("clock", "clock in a sandbox", "host name", "domain", "user", "file order")
        found.update(dict.fromkeys(names, closed))
    elif not machine.compiler:
        found.update(dict.fromkeys(("clock", "clock in a sandbox"), "no cc to make its library"))
    if not machine.root:
        found["user"] = "only root can become another user"
    if len(machine.cores) < 2:
        found["cores"] = "there is but one"
    if not machine.old_kernel:
        found["kernel"] = "setarch cannot pretend another"
    return found


def varied(first: Mapping[str, str], second: Mapping[str, str], why_not: Mapping[str, str]) -> str:
    """The table of what was seen in both variants."""
    rows = []
    for name in first:
        if first[name] == second[name]:
            reason = why_not.get(name, "both variants turned out alike")
            rows.append((name, first[name], f"not varied: {reason}"))
        else:
            rows.append((name, first[name], second[name]))
    return table(("varied", "first build", "second build"), rows)


def report(rows: Sequence[Row], first: Path, second: Path) -> int:
    """Print the artefacts and where the first difference lies; the exit status."""
    cells = [(row.name, megabytes(row.size), row.sha256[:16], row.result) for row in rows]
    print(table(("artefact", "size", "sha256", "result"), cells))
    bad = [row for row in rows if row.result != SAME]
    print(f"\n{len(rows)} artefacts, {len(rows) - len(bad)} the same, {len(bad)} different")
    telling = most_telling(list(rows))
    if telling:
        print(f"\n{telling.name} differs:\n{explain(first / telling.name, second / telling.name)}")
    if not rows:
        raise Failure("nothing was built", hint="does --only name packages?")
    return 1 if bad else 0


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    scratch = Path(tempfile.mkdtemp(prefix="backendai-reproduce-", dir=parent))
    scratch.chmod(0o755)  # another user enters it
    try:
        yield scratch
    finally:
        remove_tree(scratch)


def _make_clock(scratch: Path, machine: Machine) -> Path:
    library = scratch / "clock.so"
    if machine.compiler:
        argv = [machine.compiler, "-shared", "-fPIC", "-O1", f"-DSHIFT={SHIFT}L"]
        subprocess.run([*argv, "-o", str(library), str(_HERE / "clock.c"), "-ldl"], check=True)
        library.chmod(0o755)
    return library


class Signing(NamedTuple):
    """The file with the key that signs, and what unlocks it."""

    key: Path
    passphrase: str | None = None


def _build(
    root: Path,
    variant: Variant,
    machine: Machine,
    clock: Path,
    specs: Sequence[str],
    signing: Signing,
) -> dict[str, str]:
    """Build in one variant; what was seen there. Its cache goes afterwards, for the disk's sake."""
    for folder in (variant.checkout, variant.cache, variant.home, variant.temporary, variant.dist):
        folder.mkdir(parents=True)
    count = share_inputs(default_cache().root, variant.cache, without=built_here(root))
    print(f"{variant.name} build: {count} locked files shared, all else from nothing", flush=True)
    copy = _program(
        variant.dist.parent / "copy-sources",
        f"import sys; sys.path.insert(0, {str(root / 'src')!r})\n"
        "from pathlib import Path\nfrom devtools.checkout import copy_sources\n"
        f"source, target = Path({str(root)!r}), Path({str(variant.checkout)!r})\n"
        f"copy_sources(source, target, backwards={variant.in_memory})\n",
    )
    probe = _program(
        variant.dist.parent / "probe", (_HERE / "probe.py").read_text(encoding="utf-8")
    )
    if variant.user:
        _give(variant.dist.parent, variant.user[1])
    variant.env[KEY] = str(_handed(variant, "key.asc", signing.key.read_bytes()))
    # Nothing of it is shipped: what the machine's mirror still has will do, if it is the same twice.
    variant.env["BACKENDAI_FROZEN"] = os.environ.get("BACKENDAI_FROZEN", "0")
    if signing.passphrase is not None:
        data = signing.passphrase.encode()
        variant = dataclasses.replace(variant, passphrase=_handed(variant, "passphrase", data))
        variant.env[PASSPHRASE_FD] = "3"
    text = script(variant, machine, copy, clock, probe, list(specs))
    start = time.monotonic()
    argv = [*(unshare(machine.root) if machine.namespaces else []), "sh", "-c", text]
    _run(argv, variant, start)
    dist = variant.dist if machine.namespaces else variant.checkout / "dist"
    if dist != variant.dist:
        variant.dist.rmdir()
        dist.rename(variant.dist)
    static = ", ".join(_static(variant.cache / "tools")) or "none"
    print(f"{variant.name} build: done in {duration(time.monotonic() - start)}", flush=True)
    seen: dict[str, str] = json.loads(
        (variant.dist.parent / "seen.json").read_text(encoding="utf-8")
    )
    seen["static programs"] = static
    remove_tree(variant.cache)
    return seen


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/usr/bin/env -S python3 -B\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return path


def _handed(variant: Variant, name: str, data: bytes) -> Path:
    """A file that the variant's user alone can read."""
    copy = variant.dist.parent / name
    with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
        stream.write(data)
    if variant.user:
        os.chown(copy, variant.user[1], variant.user[1])
    return copy


def _give(folder: Path, uid: int) -> None:
    """Give folders to the user of a variant; the locked files in them stay whose they are."""
    os.chown(folder, uid, uid)
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            os.chown(Path(parent, name), uid, uid)


def _run(argv: list[str], variant: Variant, start: float) -> None:
    """Run a build, showing its steps; Failure with the end of its output when it fails."""
    log: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                log.append(line)
                step = line.partition("[INFO] Completed: ")[2].strip()
                if step or line.startswith(_SHOWN):
                    seconds = time.monotonic() - start
                    print(f"  {seconds:5.0f} s  {step or line.strip()}", flush=True)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # with it ends all in its namespace
            raise
    if process.returncode != 0:
        raise Failure(
            f"the {variant.name} build failed:\n{''.join(log[-40:])}",
            hint="does ./pants package :: work in the checkout?",
        )


def _static(tools: Path) -> list[str]:
    """The tools that load no library, so that no library can move their clock."""
    found = [path for path in sorted(tools.glob("*/*")) if path.is_file() and is_elf(path)]
    return [path.name for path in found if not read_elf(path).interpreter]


def _notes(machine: Machine) -> str:
    lines = []
    if machine.namespaces:
        lines.append("Neither build had a network.")
    if machine.namespaces and machine.compiler:
        lines.append("Static programs load no library, so they read the true clock in both builds.")
    lines.append("Times that the kernel gives to files differ by the time between the builds only.")
    return "\n".join(lines)


def _keep(folder: Path, *built: Variant) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for variant in built:
        subprocess.run(["cp", "-r", str(variant.dist), str(folder / variant.name)], check=True)
    print(f"what was built is in {folder}", file=sys.stderr)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
