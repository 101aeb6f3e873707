"""`ss -ltn` on a whole site shows what docs/SECURITY.md documents: nothing more, nothing less."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from host import Host
from site_host import SiteHost

PYTHON = "/opt/backendai/current/bin/python"
# The program of the packages themselves tells what is expected, with the ports of this site.
EXPECTED = """
import json
from dataclasses import asdict
from backendai_ctl import facts
from backendai_ctl.topology import listeners
from backendai_ctl.context import Context
from backendai_ctl.validation.load import load
known = facts.load()
ctx = Context(known, load(known.paths.site_file, known))
rows = listeners.expected(ctx)
print(json.dumps([{**asdict(row), "address": listeners.address(ctx, row.bound)} for row in rows]))
"""
LOOPBACK = ("127.0.0.1", "::1")
ANY = range(1)  # the kernel chose the port


@dataclass(frozen=True)
class Row:
    """A documented listener."""

    unit: str
    ports: range
    address: str
    always: bool

    def covers(self, address: str, port: int, unit: str) -> bool:
        bound = address in LOOPBACK if self.address in LOOPBACK else address == self.address
        return bound and unit == self.unit and (port in self.ports or self.ports == ANY)


def documented(host: Host) -> list[Row]:
    rows = json.loads(host.check([PYTHON, "-I", "-c", EXPECTED]).stdout)
    return [
        Row(row["unit"], range(row["ports"][0], row["ports"][1] + 1), row["address"], row["always"])
        for row in rows
    ]


def listening(host: Host) -> Iterator[tuple[str, int, str]]:
    """Address, port and unit of every listening TCP socket."""
    for line in host.sh("ss -Hltnp").splitlines():
        words = line.split()
        address, _, port = words[3].rpartition(":")
        pids = re.findall(r"pid=(\d+)", line)
        yield address.strip("[]").partition("%")[0], int(port), unit(host, pids)


def unit(host: Host, pids: list[str]) -> str:
    for pid in pids:
        group = host.run(["cat", f"/proc/{pid}/cgroup"]).stdout
        names = re.findall(r"[^/\n]+\.(?:service|scope)", group)
        if names and names[-1] != "init.scope":
            return str(names[-1])
    return "unknown"


@pytest.fixture(scope="module")
def found(allinone: SiteHost) -> list[tuple[str, int, str]]:
    return list(listening(allinone.host))


@pytest.fixture(scope="module")
def rows(allinone: SiteHost) -> list[Row]:
    return documented(allinone.host)


def test_nothing_listens_that_is_not_documented(
    found: list[tuple[str, int, str]], rows: list[Row]
) -> None:
    assert len(found) > 20
    assert [socket for socket in found if not any(row.covers(*socket) for row in rows)] == []


def test_everything_documented_listens(found: list[tuple[str, int, str]], rows: list[Row]) -> None:
    missing = []
    for row in rows:
        ports = {port for address, port, unit in found if row.covers(address, port, unit)}
        wanted = set(row.ports) if row.ports != ANY else ports or {0}
        missing += [(row.unit, port) for port in wanted - ports if row.always]
    assert missing == []


def test_nothing_is_reachable_from_another_host(found: list[tuple[str, int, str]]) -> None:
    """With all defaults: loopback, and the containers' bridge."""
    assert {address for address, _, _ in found} <= {*LOOPBACK, "172.17.0.1"}
