"""Promise: what a container sends on reaches no node, NFS server or server of the site, and that stays so.

A node with an agent, a container on a bridge such as sessions get (made after the rules were loaded),
another node of the site, and a server that only the operator knows of: each in a network namespace of
one host. What the container sends is masqueraded, as Docker does it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import stack as stacks
from host import Host
from scenario import HERE as HARNESS
from scenario import VENV_PYTHON, ctl

HERE, STORE, NAS, CONTAINER, PEER, BRIDGE = (
    *("10.98.0.1", "10.98.0.2", "10.98.0.3"),
    *("172.30.0.2", "172.30.0.3", "172.30.0.1"),
)
HERE6, STORE6 = "fd98::1", "fd98::2"
TABLE = "nft list table inet backendai"
WATCH = "backendai-nft-watch"
LOOKS_AGAIN = 60  # seconds; its timer says 30, the machine may be loaded
SITE = f"""\
[site]
address = "{HERE}"

[network]
listen = "0.0.0.0"
allow = ["10.98.0.0/24"]

[agent]
open_to_sessions = ["{STORE}:3128"]
closed_to_sessions = ["{NAS}", "{STORE6}"]

[storage.volumes.home]
kind = "nfs"
server = "10.98.0.4"
export = "/home"

[nodes.here]
address = "{HERE}"
roles = ["all-in-one"]

[nodes.store]
address = "{STORE}"
roles = ["storage"]
"""
KNOCK = "/var/tmp/knock.py"
LISTEN = f"{VENV_PYTHON} -I {KNOCK} listen"
NETWORK = f"""
inside() {{ name=$1; shift; ip netns exec "$name" "$@"; }}
ip link add br-0123456789ab type bridge
ip address add {BRIDGE}/16 dev br-0123456789ab
ip address add fd30::1/64 dev br-0123456789ab nodad
for name in store container peer; do
  ip netns add $name
  ip link add to-$name type veth peer name eth0 netns $name
  inside $name ip link set lo up
  inside $name ip link set eth0 up
  ip link set to-$name up
done
ip link set to-container master br-0123456789ab
ip link set to-peer master br-0123456789ab
inside peer ip address add {PEER}/16 dev eth0
ip link set br-0123456789ab up
ip address add {HERE}/24 dev to-store
ip address add {HERE6}/64 dev to-store nodad
inside store ip address add {STORE}/24 dev eth0
inside store ip address add {NAS}/24 dev eth0
inside store ip address add 10.98.0.4/24 dev eth0
inside store ip address add {STORE6}/64 dev eth0 nodad
inside store ip route add 172.30.0.0/16 via {HERE}
inside store ip -6 route add fd30::/64 via {HERE6}
inside container ip address add {CONTAINER}/16 dev eth0
inside container ip address add fd30::2/64 dev eth0 nodad
inside container ip route add default via {BRIDGE}
inside container ip -6 route add default via fd30::1
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
"""
# As Docker does it: a chain of its own for published ports, and for what leaves the host.
DOCKER = f"""
table ip dockerlike {{
  chain prerouting {{
    type nat hook prerouting priority dstnat;
    fib daddr type local tcp dport 30005 dnat to {CONTAINER}:8888
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr 172.30.0.0/16 oifname != "br-0123456789ab" masquerade
  }}
}}
"""
OF_USERS = (f"{STORE}:8090", f"{STORE}:6021", f"{STORE}:10210", f"{HERE}:8090", f"{STORE}:3128")
NEIGHBOUR = f"{PEER}:2049"  # another container, on the same bridge
OPEN = (*OF_USERS, f"{STORE}:53", f"{BRIDGE}:40128", NEIGHBOUR)
CLOSED = (
    *(f"{STORE}:{port}" for port in (22, 2049, 6022, 6379, 10201, 10202, 30001)),
    *(f"{NAS}:988", f"[{STORE6}]:2049", f"[{STORE6}]:988", "10.98.0.4:2049", "10.98.0.4:111"),
    *(f"{HERE}:{port}" for port in (6022, 30001)),
    *(f"{BRIDGE}:{port}" for port in (6022, 30001)),
)


@pytest.fixture(scope="module")
def here(stack: stacks.Stack) -> Iterator[Host]:
    """The node, with everything listening; no rules are loaded yet."""
    with stack.boot(name="here") as host:
        host.write("/etc/backendai/site.toml", SITE)
        host.write("/etc/backendai/node", "here\n")
        host.sh("nft flush ruleset")
        host.write(KNOCK, (HARNESS / "inside/knock.py").read_text())
        host.sh(NETWORK)
        docker_like(host)
        doors = [*OPEN, *CLOSED]
        there = [d for d in doors if not d.startswith((HERE, BRIDGE, PEER))]
        mine = [d for d in doors if d.startswith((HERE, BRIDGE))]
        listen(host, "store", f"ip netns exec store {LISTEN} {' '.join(there)}")
        listen(host, "here", f"{LISTEN} {' '.join(mine)}")
        listen(host, "peer", f"ip netns exec peer {LISTEN} {NEIGHBOUR}")
        listen(host, "container", f"ip netns exec container {LISTEN} {CONTAINER}:8888")
        yield host


def listen(host: Host, name: str, command: str) -> None:
    host.sh(f"systemd-run --quiet --unit=door-{name} {command}")
    until = time.monotonic() + 30
    while "listening" not in host.sh(f"journalctl -u door-{name} -o cat"):
        assert time.monotonic() < until, host.sh(f"journalctl -u door-{name} -o cat")
        time.sleep(0.2)


def docker_like(host: Host) -> None:
    host.check(["nft", "--file", "-"], stdin=DOCKER)


def knock(host: Host, *doors: str, frm: str = "container") -> dict[str, str]:
    """Who was let in at which door, and as whom."""
    call = ["ip", "netns", "exec", frm, VENV_PYTHON, "-I", KNOCK, "knock", *doors]
    said: dict[str, str] = json.loads(host.check(call).stdout)
    return {door: told for door, told in said.items() if told}


def step(host: Host) -> str:
    said: Any = ctl(host, "reconfigure", "--only", "confine-containers")
    return str(said["steps"]["confine-containers"]["state"])


def test_without_rules_a_container_is_let_in_as_its_node(here: Host) -> None:
    """The world outside of the rules is as it should be: what follows could fail."""
    until = time.monotonic() + 30
    while set(let_in := knock(here, *OPEN, *CLOSED)) != {*OPEN, *CLOSED}:
        assert time.monotonic() < until, let_in  # IPv6 takes a moment to settle
    assert let_in[f"{STORE}:2049"] == HERE


def test_a_container_reaches_what_serves_users_and_nothing_else(here: Host) -> None:
    assert step(here) == "done"
    assert step(here) == "same"
    assert set(knock(here, *OPEN, *CLOSED)) == set(OPEN)


def test_the_node_itself_reaches_all_of_it(here: Host) -> None:
    doors = [door for door in CLOSED if not door.startswith(BRIDGE)]
    call = [VENV_PYTHON, "-I", KNOCK, "knock", *doors]
    assert all(json.loads(here.check(call).stdout).values())


def test_apps_in_containers_are_reached_from_outside(here: Host) -> None:
    assert knock(here, f"{HERE}:30005", frm="store") == {f"{HERE}:30005": STORE}
    assert knock(here, f"{BRIDGE}:30005") == {}, "but not by another session"


def confined(host: Host) -> bool:
    return not knock(host, f"{STORE}:2049", f"{HERE}:6022")


def confined_again(host: Host, timeout: float) -> None:
    until = time.monotonic() + timeout
    while not confined(host):
        assert time.monotonic() < until, host.sh(f"systemctl status '{WATCH}*' || :")
        time.sleep(0.5)


@pytest.mark.parametrize("how", ["restart", "reload", "stop nftables; systemctl start"])
def test_who_loads_rules_of_his_own_does_not_take_ours_away(here: Host, how: str) -> None:
    """Debian's nftables.conf begins with `flush ruleset`."""
    here.sh(f"systemctl {how} nftables")
    confined_again(here, 15)
    assert step(here) == "same"


def test_rules_that_are_gone_are_seen_and_come_back_by_themselves(here: Host) -> None:
    here.sh("nft flush ruleset")
    assert not confined(here)
    seen = ctl(here, "status", status=3)  # all of it waits for the first `reconfigure`
    rules = next(part for part in seen["servers"] if part["name"] == "firewall")
    assert not rules["ok"] and "no table inet backendai" in rules["message"]
    timer = "systemctl show --property=ActiveState,NextElapseUSecMonotonic,UnitFileState"
    shown = here.sh(f"{timer} {WATCH}.timer")
    assert "ActiveState=active" in shown and "UnitFileState=enabled" in shown
    confined_again(here, LOOKS_AGAIN)
    assert "loading them again" in here.sh(f"journalctl -u {WATCH} -o cat")


@pytest.mark.parametrize(
    "harm",
    ["nft delete table inet backendai", "nft flush table inet backendai"],
    ids=["deleted", "flushed"],
)
def test_reconfigure_looks_at_the_kernel(here: Host, harm: str) -> None:
    here.sh(f"systemctl stop {WATCH}.timer; {harm}; systemctl is-active backendai-nft")
    assert step(here) == "done"
    assert step(here) == "same" and confined(here)
    assert here.sh(f"systemctl is-active {WATCH}.timer") == "active"


def test_a_name_without_an_address_opens_nothing(here: Host) -> None:
    """Nor does a name server that went away: what the name meant before stays closed."""
    nas = 'server = "nas.example"'
    here.sh(f"sed -i 's/^server = .*/{nas}/' /etc/backendai/site.toml")
    before = here.sh(TABLE)
    said = here.run(["backendai-ctl", "reconfigure", "--only", "confine-containers"])
    assert said.returncode == 3 and "nas.example: has no address" in said.stdout + said.stderr
    assert here.sh(TABLE) == before
    here.sh("echo '10.98.0.4 nas.example' >>/etc/hosts")
    assert step(here) == "done"
    here.sh("sed -i /nas.example/d /etc/hosts")
    assert step(here) == "same"
    assert "10.98.0.4" in here.sh(TABLE)


# What `node firewall --apply` of 26.9.6-1 leaves, in short.
EARLIER = "backendai-firewall.service"
EARLIER_UNIT = """\
# Written by backendai-ctl node firewall --apply.
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file /etc/backendai/firewall.nft
ExecStop=/usr/sbin/nft delete table inet backendai

[Install]
WantedBy=sysinit.target
"""
EARLIER_RULES = """\
table inet backendai
delete table inet backendai
table inet backendai {
  chain incoming {
    type filter hook prerouting priority mangle; policy accept;
    tcp dport 6022 drop
  }
}
"""


def test_rules_of_nodes_that_an_earlier_release_loaded_stay(here: Host) -> None:
    here.write("/etc/backendai/site.toml", SITE)
    here.sh(
        f"systemctl disable --now {WATCH}.timer {WATCH} backendai-nft;"
        " rm /etc/systemd/system/backendai-nft*"
    )
    here.write(f"/etc/systemd/system/{EARLIER}", EARLIER_UNIT)
    here.write("/etc/backendai/firewall.nft", EARLIER_RULES)
    here.sh(f"systemctl daemon-reload; systemctl enable --now {EARLIER}")
    assert step(here) == "done"
    rules = here.sh(TABLE)
    assert "chain incoming" in rules and "chain containers" in rules
    assert here.sh(f"systemctl list-units --all --no-legend {EARLIER}") == ""
    assert "No such file" in here.sh(f"ls /etc/systemd/system/*/{EARLIER} 2>&1 || :")
    assert step(here) == "same" and confined(here)
    here.check(["backendai-ctl", "node", "firewall", "--remove"])
    assert "chain incoming" not in here.sh(TABLE) and confined(here)


def test_an_earlier_release_that_comes_back_finds_no_rules_that_it_was_asked_for(
    here: Host,
) -> None:
    """What it takes for its own it would remove, or make into rules of nodes; the watch ends itself."""
    assert "No such file" in here.sh(f"ls /etc/systemd/system/{EARLIER} 2>&1 || :")
    here.sh("rm /etc/backendai/firewall.nft; nft delete table inet backendai")
    until = time.monotonic() + LOOKS_AGAIN
    while here.sh(f"systemctl is-active {WATCH}.timer || :") != "inactive":
        assert time.monotonic() < until, here.sh(f"systemctl status '{WATCH}*' || :")
        time.sleep(0.5)
    assert here.sh("systemctl list-units --failed --no-legend 'backendai-nft*'") == ""
    assert step(here) == "done" and confined(here)


def test_no_rules_outlive_their_package(here: Host) -> None:
    """A removal that is called off is told by the kernel, and mended like anything else."""
    here.sh("sh /var/lib/dpkg/info/backendai-ctl.prerm remove")
    assert "backendai" not in here.sh("nft list tables")
    left = "systemctl list-units --no-legend 'backendai-nft*'; ls /etc/systemd/system/*.wants"
    assert "nft" not in here.sh(left).replace("nftables", "")
    assert step(here) == "done" and confined(here)
    assert here.sh(f"systemctl is-active {WATCH}.timer") == "active"


def test_taken_back_with_the_agent(here: Host) -> None:
    assert "confine-containers" in here.check(["backendai-ctl", "purge", "--dry-run"]).stdout
    code = (
        "from backendai_ctl import facts; from backendai_ctl.validation.load import load;"
        "from backendai_ctl.topology import here;"
        "from backendai_ctl.steps.confine_containers import ConfineContainers;"
        "known = facts.load(); ctx = here.context(known, load(known.paths.site_file, known));"
        "ConfineContainers().undo(ctx)"
    )
    here.check([VENV_PYTHON, "-I", "-c", code])
    assert "backendai" not in here.sh(
        "nft list tables; ls /etc/systemd/system /run | grep -e fire -e nft || :"
    )
