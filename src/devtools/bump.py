"""Follow another release of Backend.AI: the release table, the lock, the stubs of both changelogs.

What a person must decide is told, not guessed: the changes of upstream that templates, SQL or operators
may have to follow (devtools.upstream_changes).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from bootstrap.cache import default_cache, exclusive
from bootstrap.interpreters import RELEASE_PYTHON, Interpreters
from bootstrap.progress import say
from releasekit.errors import Failure

TABLE = "packaging/release.toml"
LOCK = "packaging/locks/python.lock"
CHANGELOG = "CHANGELOG.md"
README = "README.md"
GATEWAY = "packaging/components/gateway/package.json"
PREVIOUS = "packaging/previous-release.json"
SUMMARY = "dist/report/summary.json"
EDITED = (TABLE, LOCK, CHANGELOG, README, GATEWAY, PREVIOUS)
VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc|\.dev)\d+)?")
_LINE = r'^({key} = )("[^"\n]*"|\d+)([ ]*)(?=#|$)'


@dataclass(frozen=True)
class Release:
    """What [release] of the table says."""

    version: str
    revision: int
    number: int
    date: str

    @property
    def full(self) -> str:
        return f"{self.version}-{self.revision}"


def current(table: str) -> Release:
    """The release that the table describes. Failure if a key is missing."""
    return Release(
        _value(table, "version").strip('"'),
        int(_value(table, "revision")),
        int(_value(table, "number")),
        _value(table, "date").strip('"'),
    )


def _value(table: str, key: str) -> str:
    found = re.search(_LINE.format(key=key), table, re.MULTILINE)
    if found is None:
        raise Failure(f"{TABLE}: no line begins with: {key} =")
    return found[2]


def following(now: Release, version: str, today: datetime) -> Release:
    """The next release: of another version its first revision, of the same the next one."""
    if not VERSION.fullmatch(version):
        raise Failure(
            f"{version!r} is no version of Backend.AI", hint="such as: scripts/bump 26.9.7"
        )
    revision = now.revision + 1 if version == now.version else 1
    return Release(version, revision, now.number + 1, today.strftime("%Y-%m-%dT00:00:00Z"))


def table_of(table: str, new: Release) -> str:
    """The table of that release: its keys, its folder, a stub of its changes."""
    environment = _value(table, "environment").strip('"').rpartition("/")[0]
    for key, value in (
        ("version", f'"{new.version}"'),
        ("revision", str(new.revision)),
        ("number", str(new.number)),
        ("date", f'"{new.date}"'),
        ("environment", f'"{environment}/{new.version}"'),
    ):
        line = re.compile(_LINE.format(key=key), re.MULTILINE)
        table = line.sub(lambda m, value=value: _as_wide(m, value), table, count=1)  # type: ignore[misc]
    stub = (
        f'version = "{new.version}"\nrevision = {new.revision}\ndate = "{new.date}"\n'
        f'changes = [\n  "Backend.AI {new.version}.",\n]\n\n[[changelog]]\n'
    )
    return re.sub(r"^(\[\[changelog\]\].*\n)", lambda m: m[1] + stub, table, count=1, flags=re.M)


def _as_wide(found: re.Match[str], value: str) -> str:
    """The line with another value; a comment beside it stays where it was, if it can."""
    width = len(found[2]) + len(found[3])
    return found[1] + (value.ljust(width) if found[3] else value)


def changelog_of(text: str, new: Release) -> str:
    """CHANGELOG.md with a stub that a person completes."""
    head, _, rest = text.partition("\n## ")
    stub = f"## {new.full} ({new.date[:10]})\n\nYou get Backend.AI {new.version}.\n"
    return f"{head}\n{stub}\n## {rest}"


def readme_of(text: str, old: Release, new: Release) -> str:
    """README.md with the version that it names."""
    text = text.replace(old.full, new.full)
    return re.sub(rf"(?<![\w.-]){re.escape(old.version)}(?![\w.-])", new.version, text)


@contextmanager
def kept(root: Path) -> Iterator[None]:
    """All files as they were, if the block fails or is interrupted."""
    paths = [root / name for name in EDITED]
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise


def clean(root: Path) -> None:
    """Failure if a file that is edited here has changes that nobody committed."""
    call = ["git", "-C", str(root), "status", "--porcelain", "--", *EDITED]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode or done.stdout.strip():
        what = done.stdout.strip() or done.stderr.strip()
        raise Failure(f"not committed: {what}", hint="commit it, or: git stash")


def main(root: Path, argv: list[str]) -> int:
    """Entry point of scripts/bump; `root` is the checkout."""
    parser = argparse.ArgumentParser(
        prog="scripts/bump",
        description="Make the checkout that of another release of Backend.AI: edits release.toml and "
        "what names the version, renews python.lock keeping every version of others that still "
        "fits, and tells what changed upstream. The present version raises the revision alone. "
        "A failure leaves everything as it was.",
    )
    parser.add_argument("version", help="of Backend.AI, such as 26.9.7")
    given = parser.parse_args(argv)
    clean(root)
    old = current((root / TABLE).read_text("utf-8"))
    new = following(old, given.version, datetime.now(timezone.utc))
    with kept(root), tempfile.TemporaryDirectory(prefix="bump-") as folder:
        before = Path(folder) / "python.lock"
        shutil.copyfile(root / LOCK, before)
        _edit(root, old, new)
        if new.version != old.version:
            _renewed(root)
            _told(root, before)
    print(f"{old.full} (number {old.number}) -> {new.full} (number {new.number})")
    print("Next: complete the entries in CHANGELOG.md and packaging/release.toml, then")
    print("      ./pants package :: && scripts/test, and commit")
    return 0


def _edit(root: Path, old: Release, new: Release) -> None:
    table = root / TABLE
    table.write_text(table_of(table.read_text("utf-8"), new), "utf-8")
    changelog, readme = root / CHANGELOG, root / README
    changelog.write_text(changelog_of(changelog.read_text("utf-8"), new), "utf-8")
    readme.write_text(readme_of(readme.read_text("utf-8"), old, new), "utf-8")
    gateway = root / GATEWAY
    said = gateway.read_text("utf-8")
    gateway.write_text(said.replace(f'"version": "{old.version}"', f'"version": "{new.version}"'))
    summary = root / SUMMARY
    if summary.exists() and old.full in json.dumps(json.loads(summary.read_text("utf-8"))):
        shutil.copyfile(summary, root / PREVIOUS)
    else:
        say(f"{PREVIOUS} stays: {SUMMARY} of {old.full} is not here")


def _told(root: Path, before: Path) -> None:
    """What changed upstream: read by the release's own Python, whose syntax it has."""
    cache = default_cache()
    with exclusive(cache):
        python = Interpreters(cache, root).path(RELEASE_PYTHON)
    words = [str(python), "-m", "devtools.upstream_changes", str(before), str(root / LOCK)]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    if subprocess.run(words, env=environment, check=False).returncode:
        raise Failure("what changed upstream could not be read: everything is as it was")


def _renewed(root: Path) -> None:
    """The lock, by its own script. Failure if that fails; it has said why."""
    if subprocess.run([str(root / "scripts/lock-python")], check=False).returncode:
        raise Failure("scripts/lock-python failed: everything is as it was")
