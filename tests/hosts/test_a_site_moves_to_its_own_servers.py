"""A site on Debian's own servers moves to those it brings along: all of it, or it stays as it was.

The host is one that release 26.9.6-1 configured (debian_servers.py); the packages are those under test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import debian_servers as debian
import old_database as old
import own_servers as own
import pytest
import roots
import stack as stacks
from artefacts import Dist
from debian_servers import CLI, ETCDCTL, KEYS, SECRETS, UNITS
from host import Host, Result, boot
from scenario import Hosts, ctl, disks
from suites import REPO, family

RECORD = "/var/lib/backendai/ctl/moved.json"
NO_CONFIGURE = "/etc/backendai/no-configure"
# With the secrets that the earlier release had not.
MOVE = ["backendai-ctl", "reconfigure"]
MOVE += ["--only", "create-secrets", "--only", "move-servers", "--json"]
STAND_IN = "backendai-webserver.service"  # a service that is started and stopped, and does nothing
FLAG = "/var/lib/backendai/ctl/ready/webserver"
STOPPING = 3  # seconds that it takes to stop
DATABASES = ("backendai", "backendai_appproxy")
SOON = "/sorna/local/nodes/000"
_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1
"""
_ROWS = """SELECT '{0}', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM public.{0} t;
"""


@dataclass(frozen=True)
class Content:
    """Everything of the site that is in three servers."""

    rows: dict[str, str]
    keys: dict[str, str]
    cache: dict[str, str]


@pytest.fixture(scope="module")
def before(
    hosts: Hosts, dist: Dist, repositories: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The root of a host of the earlier release, on which these packages have done nothing yet."""
    with disks(tmp_path_factory, "before") as folder:
        made = stacks.Stack(folder / "root", (folder / "disk/u", roots.root("trixie-servers")))
        for place in (folder / "disk", made.root):
            place.mkdir(parents=True)
        with hosts.boot(
            "trixie-servers", binds={repositories: REPO}, privileged=True, upper=folder / "disk"
        ) as host:
            debian.make(host)
            host.write(NO_CONFIGURE, "")
            manager = family("trixie", dist)
            manager.add_repository(host)
            manager.install(host, ["backendai-all-in-one"])
            _stand_in(host)
        stacks._mount(made)
        try:
            yield made.root
        finally:
            stacks.unmake(folder)


@pytest.fixture
def host(before: Path) -> Iterator[Host]:
    with boot(before, name="moves", privileged=True) as made:
        made.check(["systemctl", "start", *UNITS, STAND_IN], timeout=120)
        yield made


def test_everything_is_moved_and_the_old_servers_rest(host: Host) -> None:
    was = of_debian(host)
    assert was.rows and was.keys == KEYS
    planned = ctl(host, "reconfigure", "--dry-run")["plan"]["move-servers"]
    assert len(planned["changes"]) == 3, planned
    said = host.check(MOVE, timeout=300).stderr
    assert "is stopped, its data stays in /var/lib/postgresql" in said, said
    assert of_site(host) == was
    assert debian.states(host) == ["inactive"] * 3
    enabled = host.run(["systemctl", "is-enabled", "valkey-server", "etcd"]).stdout.split()
    assert enabled == ["disabled"] * 2
    assert host.sh("cat /etc/postgresql/17/main/start.conf | grep -v '^#'") == "manual"
    assert host.sh("ls /etc/systemd/system/*.service.d/backendai.conf 2>/dev/null || :") == ""
    assert host.sh(f"stat -c %a {RECORD}") == "640"
    assert not {secret for secret in SECRETS.values() if secret in said + host.sh(f"cat {RECORD}")}
    # They rest as they were: what was in them is in them.
    host.sh("systemctl start postgresql@17-main")
    assert rows(lambda text, name: debian.sql(host, text, name)) == was.rows
    host.sh("systemctl stop postgresql@17-main")

    # And the site lives in its new servers, with the rows that it had.
    host.sh(f"systemctl stop {STAND_IN}; systemctl disable {STAND_IN} 2>/dev/null || :")
    host.sh(f"rm {NO_CONFIGURE} {FLAG} /etc/systemd/system/{STAND_IN}; systemctl daemon-reload")
    host.run(["backendai-ctl", "reconfigure"], timeout=600)
    host.check(["backendai-ctl", "status", "--wait", "240"], timeout=300)
    assert own.sql(host, "SELECT version_num FROM alembic_version", "backendai") == old.HEAD
    assert own.etcdctl(host, "get --print-value-only /sorna/local/config/redis/addr") == (
        "127.0.0.1:8110"
    )
    assert own.etcdctl(host, f"get --print-value-only {SOON}", user="manager") == KEYS[SOON]
    emails = set(own.sql(host, "SELECT email FROM users", "backendai").split())
    seen = users_seen(host)  # the first page of them
    assert len(seen) >= 10 and seen <= emails
    report = json.loads(host.run(["backendai-ctl", "doctor", "--json"]).stdout)
    found = {row["name"]: row for row in report["findings"]}
    assert "apt purge postgresql valkey-server etcd-server" in found["servers of Debian"]["message"]
    assert ctl(host, "reconfigure")["ok"]
    assert debian.states(host) == ["inactive"] * 3


@pytest.mark.parametrize(
    "delay",
    [
        pytest.param(0, marks=pytest.mark.breadth),
        pytest.param(STOPPING, marks=pytest.mark.breadth),
        STOPPING + 2,
        pytest.param(STOPPING + 7, marks=pytest.mark.breadth),
    ],
)
def test_a_run_that_is_killed_is_finished_by_the_next(host: Host, delay: float) -> None:
    was = of_debian(host)
    killed = interrupted(host, delay, "kill -9 $ctl")
    assert killed.returncode in (0, 137), killed
    host.check(MOVE, timeout=300)
    assert of_site(host) == was
    assert json.loads(host.sh(f"cat {RECORD}"))["state"] == "done"
    assert debian.states(host) == ["inactive"] * 3
    assert len(host.sh("ls /var/backups/backendai").split()) == len(DATABASES)


def test_a_full_disk_leaves_the_services_with_the_servers_that_they_had(host: Host) -> None:
    backups = "/var/backups/backendai"
    host.sh(f"mkdir -p {backups}; mount -t tmpfs -o size=120m tmpfs {backups}")
    was = of_debian(host)
    failed = interrupted(host, 0, f"dd if=/dev/zero of={backups}/fill bs=64k 2>/dev/null; true")
    assert "No space left" in why(failed), failed
    assert "start again, with the servers that they had" in failed.stderr
    host.sh(f"until systemctl is-active --quiet {STAND_IN}; do sleep 0.1; done")
    assert host.sh(f"cat {FLAG}") == "as it was"
    assert debian.states(host) == ["active"] * 3
    assert of_debian(host) == was
    running = host.run(["systemctl", "is-active", *own.UNITS.values()]).stdout.split()
    assert running == ["inactive"] * 3
    host.sh("systemctl restart valkey-server")  # ours had its file's name for a while
    assert of_debian(host) == was
    host.sh(f"rm {backups}/fill")
    host.check(MOVE, timeout=300)
    assert of_site(host) == was


def test_what_others_have_in_them_stays_served(host: Host) -> None:
    debian.sql(host, "CREATE DATABASE shop")
    debian.sql(host, "CREATE TABLE orders AS SELECT 1 AS id", "shop")
    host.sh(f"{ETCDCTL} put /shop/key theirs")
    host.sh(f"{CLI} -n 12 set shop theirs")
    was = of_debian(host)
    said = host.check(MOVE, timeout=300).stderr
    assert "PostgreSQL of Debian goes on: it has other databases: shop" in said, said
    assert "etcd of Debian goes on: it has other keys: /shop/key" in said
    assert "Valkey of Debian goes on: its database 12 has keys" in said
    assert of_site(host) == was
    host.check(["systemctl", "restart", *UNITS], timeout=120)  # as a boot would
    assert debian.sql(host, "SELECT id FROM orders", "shop") == "1"
    assert host.sh(f"{ETCDCTL} get --print-value-only /shop/key") == "theirs"
    assert host.sh(f"{CLI} -n 12 get shop") == "theirs"
    assert "NOAUTH" in host.run(["valkey-cli", "ping"]).stdout
    assert own.valkey(host, "-n 12 dbsize") == "0"


def test_a_server_that_is_gone_is_told_and_nothing_starts_empty(host: Host) -> None:
    # As `apt remove` leaves it: its data and its init script stay.
    host.sh("systemctl stop postgresql@17-main; rm /usr/lib/postgresql/17/bin/postgres")
    for _ in range(2):
        refused = why(host.run(["backendai-ctl", "reconfigure", "--json"], timeout=300))
        assert "is not installed any more" in refused and "apt install postgresql" in refused
    assert host.run(["test", "-e", "/var/lib/backendai/postgresql/17"]).returncode != 0
    assert host.sh(f"systemctl is-active {STAND_IN}") == "active"


def test_somebody_who_still_writes_to_the_database_is_named(host: Host) -> None:
    waits = "sleep 300 | psql -d backendai"  # PostgreSQL sees at once that it is gone
    host.sh(f"systemd-run --quiet --collect --unit=other --uid=postgres sh -c '{waits}'")
    failed = why(host.run(MOVE, timeout=300))
    assert "still in use by psql as postgres" in failed and "backendai-ctl reconfigure" in failed
    host.sh(
        f"systemctl stop other; until systemctl is-active --quiet {STAND_IN}; do sleep 0.1; done"
    )
    host.check(MOVE, timeout=300)


def _stand_in(host: Host) -> None:
    """A unit of ours that runs without a site, where its flag allows it."""
    unit = (
        f"[Unit]\nConditionFileNotEmpty={FLAG}\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n"
        f"ExecStop=/bin/sleep {STOPPING}\n[Install]\nWantedBy=multi-user.target\n"
    )
    host.write(f"/etc/systemd/system/{STAND_IN}", unit)
    host.write(FLAG, "as it was\n")
    host.sh("systemctl daemon-reload")


def why(result: Result) -> str:
    """Why the move failed, and what to do."""
    assert result.returncode == 1, result
    step = json.loads(result.stdout)["steps"]["move-servers"]
    assert step["state"] == "failed", result
    return f"{step['message']} ({step['hint']})"


def interrupted(host: Host, delay: float, act: str) -> Result:
    """Move; `delay` seconds after the first service is told to stop, do `act` ($ctl is its pid)."""
    script = f"""
        {" ".join(MOVE)} & ctl=$!
        until grep -qs '"moving"' {RECORD}; do
            kill -0 $ctl 2>/dev/null || exit 99
            sleep 0.01
        done
        sleep {delay}
        {act}
        wait $ctl
    """
    return host.run(["/bin/sh", "-c", script], timeout=300)


def of_debian(host: Host) -> Content:
    return Content(
        rows(lambda text, name: debian.sql(host, text, name)),
        debian.etcd_keys(host.sh(f"{ETCDCTL} get --prefix /sorna/local/ -w json")),
        cache(host, CLI),
    )


def of_site(host: Host) -> Content:
    own.start(host)
    return Content(
        rows(lambda text, name: own.sql(host, text, name)),
        debian.etcd_keys(own.etcdctl(host, "get --prefix /sorna/local/ -w json")),
        cache(host, own.VALKEY_LOGGED_IN),
    )


def rows(ask) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """Number and hash of the rows of each table of both databases."""
    found = {}
    for name in DATABASES:
        queries = "".join(_ROWS.format(table) for table in ask(_TABLES, name).split())
        for line in ask(f"SET timezone = 'UTC';\n{queries}", name).splitlines():
            table, _, content = line.partition("|")
            found[f"{name} {table}"] = content
    return found


def cache(host: Host, cli: str) -> dict[str, str]:
    """What is in Valkey: each key with its content; and when the one that ends does."""
    asked = {
        "text": "get text",
        "list": "lrange list 0 -1",
        "set": "smismember set 1 2 3 four five",
        "zset": "zrange zset 0 -1 withscores",
        "hash": "hmget hash a b",
        "ends": "pexpiretime ends",
        "stream": "-n 4 xrange stream - +",
        "group": "-n 4 xpending stream group",
        "keys": "dbsize",
    }
    return {name: host.sh(f"{cli} --no-auth-warning {words}") for name, words in asked.items()}


def users_seen(host: Host) -> set[str]:
    """The users that the holder of a key pair from before the move is shown by the manager."""
    pair = own.sql(
        host,
        'SELECT access_key, secret_key FROM keypairs k JOIN users u ON u.uuid = k."user"'
        " WHERE u.email = 'admin@example.com' AND k.is_active LIMIT 1",
        "backendai",
    )
    access, _, secret = pair.partition("|")
    env = {
        "BACKEND_ENDPOINT_TYPE": "api",
        "BACKEND_ENDPOINT": "http://127.0.0.1:8081",
        "BACKEND_ACCESS_KEY": access,
        "BACKEND_SECRET_KEY": secret,
    }
    said = host.check(["backend.ai", "--output=json", "admin", "user", "list"], env=env).stdout
    return {str(row["email"]) for row in json.loads(said)["items"]}
