"""Load every native module and library of an installation and look at what got mapped.

Runs inside a host, with the interpreter under test:

    python probe_native.py FOLDER...

Below each FOLDER (site-packages, lib-dynload) the files that end in .so or .so.N are taken
per top-level name. One fresh process per name imports those that are Python modules and then
opens the others, which packages load by other means. Prints JSON:

    loaded      number of files that were imported or opened
    failed      {file: error} of those that were not
    foreign     {top-level name: files} mapped from outside /opt/backendai
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import pwd
import re
import socket
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PREFIX = "/opt/backendai/"
SHARED_OBJECT = re.compile(r"\.so(\.[0-9.]+)?$")
CHILD_TIMEOUT = 180  # seconds


def module_name(folder: Path, file: Path) -> str:
    """Dotted name of a native module; empty for a plain library."""
    stem = file.name.split(".")[0]
    if f"PyInit_{stem}".encode() not in file.read_bytes():
        return ""
    return ".".join((*file.relative_to(folder).parts[:-1], stem))


def mapped_files() -> set[str]:
    """Files in this process's memory map; [vdso] and other nameless areas have none."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    names = (line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6)
    return {name for name in names if name.startswith("/")}


def resolve_names() -> None:
    """Make libc load whatever it takes for look-ups of hosts and users."""
    for host in ("localhost", "no-such-host.invalid"):
        with contextlib.suppress(OSError):
            socket.getaddrinfo(host, 80)
    for user in ("root", "no-such-user"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(user)


def child(files: dict[str, str]) -> dict[str, Any]:
    """Load {file: module name}; what failed and what is mapped afterwards."""
    failed = {}
    # Modules first: a package that needs its libraries must find them by itself.
    for file, name in sorted(files.items(), key=lambda item: (not item[1], item)):
        try:
            if name:
                importlib.import_module(name)
            else:
                ctypes.CDLL(file)
        except BaseException as error:  # a module may raise anything, SystemExit too
            failed[file] = f"{type(error).__name__}: {error}"
    resolve_names()
    return {"failed": failed, "mapped": sorted(mapped_files())}


def probe(files: dict[str, str]) -> dict[str, Any]:
    """Run ``child`` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, __file__, "--child"],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        died = f"process ended with {done.returncode}: {done.stderr[-500:]}"
        return {"failed": dict.fromkeys(files, died), "mapped": []}
    return answer


def grouped(folders: list[Path]) -> dict[str, dict[str, str]]:
    """{top-level name: {file: module name}} of everything native below the folders."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for folder in folders:
        for file in sorted(folder.rglob("*.so*")):
            if file.is_symlink() or not SHARED_OBJECT.search(file.name):
                continue
            top = folder.name if file.parent == folder else file.relative_to(folder).parts[0]
            # NAME.libs holds what NAME's modules were linked against
            groups[top.removesuffix(".libs")][str(file)] = module_name(folder, file)
    return groups


def survey(folders: list[Path]) -> dict[str, Any]:
    """Probe everything below the folders."""
    groups = grouped(folders)
    failed: dict[str, str] = {}
    foreign: dict[str, list[str]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for top, answer in zip(groups, pool.map(probe, groups.values()), strict=True):
            failed.update(answer["failed"])
            outside = [file for file in answer["mapped"] if not file.startswith(PREFIX)]
            if outside:
                foreign[top] = outside
    loaded = sum(map(len, groups.values())) - len(failed)
    return {"loaded": loaded, "failed": failed, "foreign": foreign}


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        print(json.dumps(child(json.load(sys.stdin))))
    else:
        print(json.dumps(survey([Path(name).resolve() for name in sys.argv[1:]])))
