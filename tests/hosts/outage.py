"""A management node that is away, and what the agents of its site do in the meantime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from host import Host
from site_of_nodes import Site

LOST_TIMEOUT = 120  # seconds: upstream's heartbeat time-out is 40, looked at every 5
BACK_TIMEOUT = 300
_SHOWN = ("ActiveState", "MainPID", "NRestarts", "InvocationID")


@dataclass(frozen=True)
class Outage:
    """Seconds: how long it was away, when the manager gave up the agents, and until they were back."""

    away: float
    lost: float
    back: float


def running(host: Host, unit: str = "backendai-agent.service") -> dict[str, str]:
    """Which process of a unit runs: another one, or another start of it, differs."""
    call = ["systemctl", "show", unit, *(f"--property={name}" for name in _SHOWN)]
    return dict(line.split("=", 1) for line in host.check(call).stdout.splitlines())


def cut(site: Site, agents: Sequence[str], seconds: float) -> Outage:
    """Cut the management node off until all agents are LOST, and for `seconds` at least.

    All the while their processes must stay what they were.
    """
    before = {name: running(site.hosts[name]) for name in agents}
    assert {state["ActiveState"] for state in before.values()} == {"active"}
    began = time.monotonic()
    with site.switch.cut("mgmt"):
        for name in agents:
            site.agent(name, "LOST", LOST_TIMEOUT)
        lost = time.monotonic() - began
        while (left := began + seconds - time.monotonic()) > 0:
            assert {name: running(site.hosts[name]) for name in agents} == before
            time.sleep(min(5.0, left))
    ended = time.monotonic()
    for name in agents:
        site.agent(name, "ALIVE", BACK_TIMEOUT)
    back = time.monotonic() - ended
    assert {name: running(site.hosts[name]) for name in agents} == before
    return Outage(ended - began, lost, back)
