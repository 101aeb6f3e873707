"""Promise: PostgreSQL, Valkey and etcd of the site's own, with TLS, by site file alone.

The servers are on another host; those that the site could bring are installed, and do not run. Valkey and
etcd ask for a certificate. One of theirs that is not good is refused, by a message that names the key.
The tests are one story, in this order.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import external_servers
import pytest
import roots
import stack as stacks
from external_servers import (
    ADDRESS,
    MEMBERS,
    NAMES,
    PASSWORDS,
    PLAIN,
    PLAIN_SENTINEL,
    SENTINEL_PASSWORD,
    STANDBY,
    UNNAMED,
)
from host import Host, boot, link
from own_servers import BESIDE, PORTS, UNITS
from scenario import ctl
from stack import PYTHON

FOLDER = "/etc/backendai"
SERVICES = (
    "manager",
    "storage-proxy",
    "webserver",
    "gateway",
    "appproxy-coordinator",
    "appproxy-worker",
    "appproxy-tcp-worker",
)
CONFIGURE_TIMEOUT = 400  # seconds
HEALTHY_TIMEOUT = 60
# Upstream looks once a minute, and answers with that, unless it is made to look.
FAILOVER_TIMEOUT = 25
FRESH = 3  # seconds
# What each service that looks at its servers says about when it looked, asked now; one a line.
LOOKED = """
import json, ssl, urllib.request
from datetime import UTC, datetime
from backendai_ctl import facts
from backendai_ctl.topology import listeners
from backendai_ctl.topology import here
from backendai_ctl.validation.load import load
known = facts.load()
ctx = here.context(known, load(known.paths.site_file, known))
for name in {services!r}:
    url = listeners.health_url(ctx, ctx.facts.components[name])
    with urllib.request.urlopen(url, context=ssl._create_unverified_context()) as answer:
        data = json.loads(answer.read())
    data = json.loads(data) if isinstance(data, str) else data
    for check in (data.get("connectivity") or {{}}).get("connectivity_checks", []):
        looked = datetime.fromisoformat(check["last_checked_at"])
        print(name, check["component_id"], (datetime.now(UTC) - looked).total_seconds())
"""
SITE = f"""\
[database]
mode = "external"
tls = "verify"
ca = "{FOLDER}/ours.crt"  # database
host = "db.test"
manager.password_file = "{FOLDER}/db.password"
coordinator.password_file = "{FOLDER}/db.password"

[cache]
mode = "external"
tls = "verify"
ca = "{FOLDER}/ours.crt"  # cache
host = "cache.test"
password_file = "{FOLDER}/cache.password"
certificate = "{FOLDER}/client.crt"
key = "{FOLDER}/client.key"

[etcd]
mode = "external"
tls = "verify"
ca = "{FOLDER}/ours.crt"  # etcd
endpoints = ["etcd1.test:{MEMBERS[1]}", "etcd2.test:{MEMBERS[2]}", "etcd3.test:{MEMBERS[3]}"]
password_file = "{FOLDER}/etcd.password"
certificate = "{FOLDER}/client.crt"
key = "{FOLDER}/client.key"
"""
# The standby first: which of them is the primary is found out, not written down.
OF_TWO = SITE.replace('host = "db.test"', f'endpoints = ["db.test:{STANDBY}", "db.test:5432"]')
BY_SENTINEL = OF_TWO.replace(
    'host = "cache.test"',
    f'sentinel.service = "mine"\nsentinel.nodes = ["sentinel.test:26379"]\n'
    f'sentinel.password_file = "{FOLDER}/sentinel.password"',
)

PLAIN_CACHE = f"""\
[cache]
mode = "external"
password_file = "{FOLDER}/cache.password"
sentinel.service = "plain"
sentinel.nodes = ["{ADDRESS}:{PLAIN_SENTINEL}"]

"""
BY_PLAIN_SENTINEL = (
    OF_TWO[: OF_TWO.index("[cache]")] + PLAIN_CACHE + OF_TWO[OF_TWO.index("[etcd]") :]
)


@dataclass(frozen=True)
class Site:
    """The site's host, and the one with its servers."""

    host: Host
    servers: Host

    def write(self, text: str) -> None:
        self.host.write(f"{FOLDER}/site.toml", text)

    def configure(self, text: str) -> None:
        self.write(text)
        self.host.check(["backendai-ctl", "reconfigure"], timeout=CONFIGURE_TIMEOUT)

    def ctl(self, *words: str) -> Any:
        return ctl(self.host, *words, timeout=120)

    def finding(self, name: str) -> Any:
        """What doctor finds of that name."""
        return next(row for row in self.ctl("doctor")["findings"] if row["name"] == name)

    def wait_healthy(self) -> None:
        self.host.check(["backendai-ctl", "status", "--wait", str(HEALTHY_TIMEOUT)], timeout=120)

    def started(self) -> str:
        """When each service of the site was started last."""
        units = [f"backendai-{name}" for name in SERVICES]
        call = ["systemctl", "show", *units, "--property=Id,ActiveEnterTimestampMonotonic"]
        return self.host.check(call).stdout

    def connections(self) -> set[tuple[str, int]]:
        """Program and port of what is connected to the host with the servers."""
        found = set()
        for line in self.host.sh(f"ss -Htnp dst {ADDRESS}").splitlines():
            program = re.search(r'users:\(\("([^"]+)"', line)
            found.add((program[1] if program else "", int(line.split()[4].rpartition(":")[2])))
        return found

    def ages(self) -> dict[tuple[str, str], float]:
        """Service and what it looked at -> how many seconds ago it looked."""
        code = LOOKED.format(services=SERVICES)
        lines = self.host.check([PYTHON, "-I", "-c", code]).stdout.splitlines()
        rows = [line.split() for line in lines]
        return {(row[0], row[1]): float(row[2]) for row in rows}

    def wait_moved(self, old: int, new: int) -> None:
        """Until the services are connected to port `new` of the servers, and none to `old`."""
        until, found = time.monotonic() + 2 * HEALTHY_TIMEOUT, set[int]()
        while (old in found or new not in found) and time.monotonic() < until:
            found = {port for _, port in self.connections()}
        assert new in found and old not in found


@pytest.fixture(scope="module")
def site(stack: stacks.Stack) -> Iterator[Site]:
    with ExitStack() as at_end:
        spaces = at_end.enter_context(link(("site", "servers")))
        host, servers = (
            at_end.enter_context(boot(root, name=name, privileged=True, netns=spaces[name]))
            for name, root in (("site", stack.root), ("servers", roots.root(external_servers.ROOT)))
        )
        # Compute nodes are another matter.
        host.sh(
            f"echo '{ADDRESS} {' '.join([*NAMES, UNNAMED])}' >>/etc/hosts\n"
            "rm /usr/lib/systemd/system/backendai-agent.service"
        )
        for name, text in external_servers.make(servers).items():
            host.write(f"{FOLDER}/{name}", text)
        for name, password in {**PASSWORDS, "sentinel": SENTINEL_PASSWORD}.items():
            host.write(f"{FOLDER}/{name}.password", f"{password}\n")
        host.sh(f"chmod 600 {FOLDER}/*.password {FOLDER}/client.key")
        yield Site(host, servers)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("db.test", UNNAMED, f"on {UNNAMED}:5432: its certificate is refused: Hostname mismatch"),
        ("cache.test", UNNAMED, f"cache.host: the certificate of {UNNAMED}:6379 is refused: Host"),
        ("etcd1.test", UNNAMED, f"etcd.endpoints: the certificate of {UNNAMED}:2379 is refused"),
        ('ours.crt"  # database', 'theirs.crt"', "on db.test:5432: its certificate is refused"),
        ('ours.crt"  # cache', 'theirs.crt"', "cache.ca: the certificate of cache.test:6379 is"),
        ('ours.crt"  # etcd', 'theirs.crt"', "etcd.ca: the certificate of etcd1.test:2379 is"),
    ],
)
def test_a_bad_certificate_is_refused_by_its_key(
    site: Site, right: str, wrong: str, said: str
) -> None:
    site.write(SITE.replace(right, wrong))
    only = ["start-tls-proxy", *(["migrate-manager-schema"] if "db" in said + right else [])]
    words = [word for name in only for word in ("--only", name)]
    done = site.host.run(["backendai-ctl", "reconfigure", *words], timeout=120)
    text = " ".join(f"{done.stdout} {done.stderr}".split())
    assert done.returncode == 1 and said in text, text


def test_all_services_are_healthy(site: Site) -> None:
    site.configure(SITE)
    site.wait_healthy()
    status = site.ctl("status")
    assert {(part["name"], part["where"].split()[0]) for part in status["servers"]} == {
        *(("postgresql", "external"), ("valkey", "external"), ("etcd", "external")),
        ("tls-proxy", "local"),
        *((name, "local") for name in BESIDE),
    }


def test_a_service_that_is_asked_how_it_is_looks(site: Site) -> None:
    """Twice, for once a minute anything is fresh. Who waits a second in vain is told the next time."""
    for pause in (0, 2 * FRESH):
        time.sleep(pause)
        for _ in range(4):
            ages = site.ages()
            assert {"manager", "storage-proxy", "webserver"} <= {service for service, _ in ages}
            late = {what: age for what, age in ages.items() if age > FRESH}
            if not late:
                break
        assert not late


def test_doctor_is_green(site: Site) -> None:
    report = site.ctl("doctor")
    assert report["ok"], report
    found = {row["name"]: row for row in report["findings"]}
    for name in ("manager's database", "coordinator's database", "cache", "etcd", "tls-proxy"):
        assert found[name]["level"] == "ok", found[name]
    assert "16379" in found["tls-proxy"]["message"] and "12379" in found["tls-proxy"]["message"]


def test_only_the_tls_proxy_goes_to_etcd_and_valkey(site: Site) -> None:
    found = site.connections()
    assert {port for _, port in found} == {5432, 6379, MEMBERS[1]}
    assert len({program for program, port in found if port != 5432}) == 1
    listening = site.host.sh("ss -Hltn | awk '{print $4}'").split()
    assert {"127.0.0.1:16379", "127.0.0.1:12379"} <= set(listening)
    own = {*PORTS.values(), *(5432, 6379, 2379)}
    assert not {port for port in own if f"127.0.0.1:{port}" in listening}
    for unit in UNITS.values():
        assert site.host.run(["systemctl", "is-active", unit]).stdout.strip() == "inactive"


def test_the_tls_proxy_is_confined(site: Site) -> None:
    unit = "backendai-tls-proxy.service"
    said = site.host.check(["systemd-analyze", "security", "--no-pager", unit]).stdout
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert score and float(score[1]) <= 1.2, said
    pid = site.host.sh(f"systemctl show {unit} -P MainPID")
    fields = dict(
        line.split(":", 1) for line in site.host.sh(f"cat /proc/{pid}/status").splitlines()
    )
    assert not {"0", "1100"} & set(fields["Uid"].split())
    assert int(fields["CapBnd"], 16) == 0


def test_a_second_run_changes_nothing(site: Site) -> None:
    before = site.started()
    said = site.ctl("reconfigure")
    assert {step["state"] for step in said["steps"].values()} == {"same"}, said
    assert site.started() == before


def test_a_member_of_etcd_may_stop(site: Site) -> None:
    """The one that all are connected to; then services start anew without it."""
    external_servers.stop(site.servers, "etcd1")
    site.wait_healthy()
    assert site.ctl("etcd", "diff")["changes"] == []
    site.host.check(
        ["systemctl", "restart", "backendai-manager", "backendai-storage-proxy"], timeout=240
    )
    site.wait_healthy()
    site.wait_moved(MEMBERS[1], MEMBERS[2])


def test_the_primary_is_found_now_and_after_a_failover(site: Site) -> None:
    """Of two members of a PostgreSQL cluster, without a new configuration or a restart."""
    external_servers.standby(site.servers)
    site.configure(OF_TWO)
    site.wait_healthy()
    before = site.started()
    row = site.finding("manager's database")
    assert row["level"] == "ok" and "at db.test:5432" in row["message"], row
    external_servers.promote(site.servers)
    site.wait_moved(5432, STANDBY)
    site.wait_healthy()
    report = site.ctl("doctor")
    assert report["ok"], report
    row = next(r for r in report["findings"] if r["name"] == "manager's database")
    assert f"at db.test:{STANDBY}" in row["message"], row
    site.host.check(["backendai-ctl", "db", "backup", "--database", "manager"], timeout=120)
    assert {step["state"] for step in site.ctl("reconfigure")["steps"].values()} == {"same"}
    assert site.started() == before


def test_sentinels_name_the_master_now_and_after_a_failover(site: Site) -> None:
    """No service is configured anew or restarted for it: they know the TLS proxy alone."""
    external_servers.sentinels(site.servers)
    before = site.started()
    site.configure(BY_SENTINEL)
    site.wait_healthy()
    began = time.monotonic()
    external_servers.stop(site.servers, "valkey-one")
    site.wait_moved(6379, 6380)
    site.wait_healthy()
    assert time.monotonic() - began < FAILOVER_TIMEOUT
    cache = site.finding("cache")
    assert cache["level"] == "ok" and f"{ADDRESS}:6380" in cache["message"], cache
    assert site.started() == before


def test_a_sentinel_without_tls_and_without_a_password(site: Site) -> None:
    external_servers.plain_sentinel(site.servers)
    site.configure(BY_PLAIN_SENTINEL)
    site.wait_healthy()
    cache = site.finding("cache")
    assert cache["level"] == "ok" and f"{ADDRESS}:{PLAIN}" in cache["message"], cache
    assert PLAIN in {port for _, port in site.connections()}
