"""Virtual environments of groups of tools.lock, installed offline from verified files."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bootstrap.cache import Cache
from bootstrap.environment import clean_env
from bootstrap.interpreters import Interpreters
from bootstrap.pip import Pip
from bootstrap.progress import say
from bootstrap.wheels import Wanted, ensure_wheels, link_wheels
from releasekit.errors import Failure
from releasekit.files import Entry, fingerprint, remove_tree, write_atomic
from releasekit.locks import ToolsLock

MARKER = ".complete"


def group_packages(tools: ToolsLock, name: str) -> dict[str, Entry]:
    """What the environment of a group holds: "pants-test" comes on top of "pants"."""
    packages = dict(tools.group(name).packages)
    if name == "pants-test":
        packages = {**tools.group("pants").packages, **packages}
    return packages


def ensure_venv(cache: Cache, pythons: Interpreters, tools: ToolsLock, name: str) -> Path:
    """The folder of a group's environment, made when it is not there. Hold the cache's lock.

    It is built at its final path (environments cannot be moved); the file MARKER, written last,
    says that it is whole. A folder without it is a broken-off attempt and is made again.
    """
    version = tools.group(name).python
    packages = group_packages(tools, name)
    python = pythons.path(version)
    final = venv_path(cache, name, python, packages)
    if (final / MARKER).is_file() and (final / "bin/python").exists():
        return final
    wanted = [Wanted(key, entry, version) for key, entry in packages.items()]
    ensure_wheels(cache, pythons.host_pip(), wanted)
    say(f"Making the environment of {name} ({len(packages)} distributions, Python {version})")
    remove_tree(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    _run([str(python), "-m", "venv", "--without-pip", str(final)], clean_env(), name)
    _install(cache, pythons.pip(version), final, packages, name)
    write_atomic(final / MARKER, b"")
    return final


def venv_path(cache: Cache, name: str, python: Path, packages: Mapping[str, Entry]) -> Path:
    """Where the environment of a group is, or will be."""
    sums = sorted(entry.sha256 for entry in packages.values())
    return cache.venv(name, fingerprint(str(python), *sums))


def _install(cache: Cache, pip: Pip, venv: Path, packages: Mapping[str, Entry], name: str) -> None:
    cache.tmp.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="venv-", dir=cache.tmp) as folder:
        links = Path(folder) / "links"
        links.mkdir()
        link_wheels(cache, [Wanted(key, entry, "") for key, entry in packages.items()], links)
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(
            "".join(
                f"{key}=={entry.version} --hash=sha256:{entry.sha256}\n"
                for key, entry in sorted(packages.items())
            )
        )
        argv = pip.argv(
            f"--python={venv / 'bin/python'}",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--no-cache-dir",
            "--require-hashes",
            f"--find-links={links}",
            f"--requirement={requirements}",
        )
        _run(argv, pip.env(), name)


def _run(argv: list[str], env: Mapping[str, str], name: str) -> None:
    done = subprocess.run(argv, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    output = done.stdout + done.stderr
    if "No space left on device" in output:
        raise OSError(28, "No space left on device")
    raise Failure(
        f"making the environment of {name} failed:\n{output.strip()[-1200:]}",
        hint="run again; if it stays so, remove the folder venvs/ of the cache",
    )
