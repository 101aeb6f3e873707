"""Promise: a service that BUILD files alone describe installs, gets what it declares, starts and answers.

The account manager is one folder, and no line of code or table anywhere names it. No role brings it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import artefacts
import pytest
import stack as stacks
from host import Host
from own_servers import as_superuser
from scenario import ctl, disks
from suites import REPO, family

NAME, PORT = "account-manager", 8099
PACKAGE, UNIT = f"backendai-{NAME}", f"backendai-{NAME}.service"
DATABASE, SECRET = "backendai_accounts", f"/etc/backendai/secrets/database-{NAME}"
DATABASES = "SELECT datname FROM pg_database"


@pytest.fixture(scope="module")
def host(
    configured_stack: stacks.Stack,
    dist: artefacts.Dist,
    repositories: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """A configured host to which the package came later."""
    with (
        disks(tmp_path_factory, "folder") as folder,
        configured_stack.boot(name="folder", upper=folder, binds={repositories: REPO}) as made,
    ):
        made.sh(f"rm {stacks.UNTOUCHED}")
        manager = family("trixie", dist)
        manager.add_repository(made)
        manager.install(made, [PACKAGE])
        ctl(made, "reconfigure")
        yield made


def rows_of(host: Host, sql: str, database: str = "postgres") -> list[str]:
    call = as_superuser("psql", "-X", "-At", "-d", database, "-c", sql)
    return host.check(call).stdout.split()


def answer(host: Host, path: str, port: int = PORT) -> int:
    """The status of HTTP by which it answers."""
    code = (
        f"import http.client; at = http.client.HTTPConnection('127.0.0.1', {port}, timeout=10); "
        f"at.request('GET', '{path}'); print(at.getresponse().status)"
    )
    return int(host.check([stacks.PYTHON, "-I", "-c", code]).stdout)


def test_nothing_of_it_was_there_before(configured_stack: stacks.Stack) -> None:
    with configured_stack.boot(name="without") as before:
        assert before.run(["test", "-e", SECRET]).returncode
        assert DATABASE not in rows_of(before, DATABASES)


def test_it_runs_and_answers(host: Host) -> None:
    assert host.check(["systemctl", "is-active", UNIT]).stdout.strip() == "active"
    assert answer(host, "/") == 200 and answer(host, "/no-such") == 404
    assert answer(host, "/metrics", 18098) == 200
    parts = {part["name"]: part for part in ctl(host, "status")["components"]}
    assert parts[NAME]["state"] == "active", parts[NAME]


def test_it_listens_on_loopback_alone(host: Host) -> None:
    pid = host.check(["systemctl", "show", "-P", "MainPID", UNIT]).stdout.strip()
    assert pid != "0"
    group = host.check(["systemctl", "show", "-P", "ControlGroup", UNIT]).stdout.strip()
    pids = host.sh(f"cat /sys/fs/cgroup{group}/cgroup.procs").split()
    rows = [row.split() for row in host.sh("ss -Hltnp").splitlines()]
    mine = {row[3] for row in rows if any(f"pid={one}," in row[-1] for one in pids)}
    assert mine == {f"127.0.0.1:{PORT}", "127.0.0.1:18098"}


def test_it_has_a_database_a_role_and_a_password_of_its_own(host: Host) -> None:
    tables = rows_of(host, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", DATABASE)
    assert {"alembic_version", "user_profiles", "applications"} <= set(tables)
    owner = f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{DATABASE}'"
    assert rows_of(host, owner) == [DATABASE]
    assert host.check(["stat", "-c", "%a %U", SECRET]).stdout.split() == ["600", "root"]
    given = host.sh(f"cat /etc/backendai/{NAME}.toml")
    assert host.sh(f"cat {SECRET}").strip() in given
    assert host.sh("cat /etc/backendai/secrets/database-manager").strip() not in given


def test_it_is_looked_after_like_every_other(host: Host) -> None:
    rows = {row["database"]: row for row in databases(host)}
    assert rows[NAME]["state"] == "head"
    made = json.loads(host.check(["backendai-ctl", "db", "backup", "--json"]).stdout)
    assert NAME in json.dumps(made)
    named = [row["name"] for row in findings(host) if row["level"] == "ok"]
    assert f"{NAME}'s database" in named and NAME in named
    again = ctl(host, "reconfigure")["steps"]
    assert {row["state"] for row in again.values()} == {"same"}, again


def test_it_goes_without_a_trace_of_its_service(host: Host) -> None:
    host.check(["apt-get", "purge", "-y", "-q", PACKAGE], timeout=300)
    assert host.run(["systemctl", "cat", UNIT]).returncode != 0
    assert not host.sh(f"ls /etc/backendai | grep {NAME} || :").strip()
    assert DATABASE in rows_of(host, DATABASES)  # data stays
    assert NAME not in {part["name"] for part in ctl(host, "status")["components"]}


def databases(host: Host) -> list[dict[str, str]]:
    shown = json.loads(host.run(["backendai-ctl", "db", "status", "--json"]).stdout)
    return list(shown["databases"].values())


def findings(host: Host) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(
        host.run(["backendai-ctl", "doctor", "--json"]).stdout
    )["findings"]
    return found
