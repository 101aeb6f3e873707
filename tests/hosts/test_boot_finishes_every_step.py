"""Promise: what an upgrade left undone when it was cut, the next boot does: every step, in its own unit.

backendai-reconfigure.service may do less than a shell of root. A step that works in a shell alone would
leave the host without services after a power cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import stack as stacks
from host import Host

UNIT = "backendai-reconfigure.service"
ADDRESS = "10.98.0.1"
CTL = "/var/lib/backendai/ctl"
TIMEOUT = 600  # seconds
SITE = f"""\
[site]
address = "{ADDRESS}"

[network]
listen = "0.0.0.0"
allow = ["10.98.0.0/24"]

[nodes.here]
address = "{ADDRESS}"
roles = ["all-in-one"]
"""
RULES = "/etc/backendai/firewall.nft"
# What has nothing to do on a host without volumes elsewhere, servers with TLS, other nodes and groups of
# its own; nor have the rules for containers, which come with those of nodes, and rows and roles of the first
# load, nor limits that the site file does not set. No bundle is kept there whose images would be pushed, and
# a registry that no other node needs stays on loopback.
IDLE = {
    "start-tls-proxy",
    "move-servers",
    "export-volumes",
    "create-resource-groups",
    "confine-containers",
    "register-images",
    "register-app-proxy",
    "provision-roles",
    "limit-sessions",
    "trust-registry",
    "push-images",
}


@pytest.fixture(scope="module")
def here(stack: stacks.Stack) -> Iterator[Host]:
    """Packages are installed, nothing is done yet; the operator wants rules of nodes."""
    with stack.boot(name="here") as host:
        host.sh(f"ip link add cable type veth peer name far; ip address add {ADDRESS}/24 dev cable")
        host.sh("ip link set cable up; ip link set far up")
        host.write("/etc/backendai/site.toml", SITE)
        host.write(RULES, "# as after `node firewall --apply`: chain incoming { }\n")
        yield host


@dataclass(frozen=True)
class Boot:
    """How each step ended, and which of them had something to do."""

    states: dict[str, str]
    worked: set[str]


def boot(host: Host) -> Boot:
    """Run the boot's unit, as after packages or settings changed."""
    host.sh(f"mkdir -p {CTL}; : >{CTL}/pending; rm -f {CTL}/journal.jsonl")
    host.check(["systemctl", "start", UNIT], timeout=TIMEOUT)
    said = host.sh(f"journalctl -o cat -u {UNIT}")
    assert host.run(["test", "-e", f"{CTL}/pending"]).returncode, said
    steps = json.loads(host.sh(f"cat {CTL}/result.json"))["steps"]
    events = [json.loads(line) for line in host.sh(f"cat {CTL}/journal.jsonl").splitlines()]
    return Boot(
        {name: str(row["state"]) for name, row in steps.items()},
        {event["step"] for event in events if event["event"] == "done"},
    )


def test_the_unit_may_not_do_all_that_root_may(here: Host) -> None:
    shown = here.sh(f"systemctl show --property=CapabilityBoundingSet {UNIT}")
    assert "cap_chown" in shown and "cap_net_admin" not in shown and "cap_sys_admin" not in shown


def test_every_step_is_done_by_it(here: Host) -> None:
    found = boot(here)
    assert set(found.states) == set(stacks.step_names(here))
    assert set(found.states.values()) == {"done"}
    assert set(found.states) - found.worked <= IDLE
    rules = here.sh("nft list table inet backendai")
    assert "chain containers" in rules and "chain incoming" in rules


def test_an_upgrade_that_was_cut_before_it_loaded_the_rules(here: Host) -> None:
    here.sh(f"sed -i '/ drop$/d' {RULES}; systemctl stop backendai-manager")
    found = boot(here)
    assert set(found.states.values()) == {"done"} and "apply-firewall" in found.worked
    assert " drop" in here.sh(f"cat {RULES}")
    here.check(["systemctl", "is-active", "backendai-manager", "backendai-agent"])
