"""Rules for nftables: who may connect to what this node listens on.

A table of our own, which refuses and never allows: rules of the operator's keep their say. It looks
before addresses are rewritten, so that ports which Docker publishes are covered as well.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

from backendai_ctl import listeners
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.nodes import layout
from backendai_ctl.steps import units
from backendai_ctl.system import systemd
from backendai_ctl.system.run import run

TABLE = "inet backendai"
UNIT = "backendai-firewall.service"
NFT = "/usr/sbin/nft"
_UNIT = """\
# Written by backendai-ctl node firewall --apply.
[Unit]
Description=Backend.AI: who may connect to this node
Documentation=man:nft(8)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={nft} --file {rules}
ExecReload={nft} --file {rules}
ExecStop={nft} delete table {table}

[Install]
WantedBy=sysinit.target
"""


def text(ctx: Context) -> str:
    """The rules of this node as a file for nft. BadRequest if the site is a single host."""
    if not ctx.node:
        raise BadRequest(
            "the site file has no nodes: nothing but what users need leaves loopback",
            hint="describe them in the site file: [nodes.NAME]",
        )
    found = listeners.expected(ctx)
    nodes = _ports(x for x in found if x.bound in ("agent", "any"))
    users = _ports(x for x in found if x.bound == "listen")
    others = sorted(set(layout.addresses(ctx.site)))
    allowed = sorted(set(ctx.site.network.allow))
    lines = [
        f"# Node {ctx.node}. Made by: backendai-ctl node firewall",
        f"table {TABLE}",
        f"delete table {TABLE}",
        f"table {TABLE} {{",
    ]
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        lines += _set(f"nodes{version}", kind, _of(others, version))
        lines += _set(f"users{version}", kind, _of(allowed, version))
    lines += [
        "  chain incoming {",
        "    type filter hook prerouting priority mangle; policy accept;",
        '    iifname "lo" accept',
        "    ct state established,related accept",
        "    fib daddr type != local accept",
        "    ip saddr @nodes4 accept",
        "    ip6 saddr @nodes6 accept",
    ]
    if users:
        lines += [
            f"    tcp dport {{ {users} }} ip saddr @users4 accept",
            f"    tcp dport {{ {users} }} ip6 saddr @users6 accept",
        ]
    closed = ", ".join(ports for ports in (users, nodes) if ports)
    lines += [f"    tcp dport {{ {closed} }} drop"] if closed else []
    return "\n".join([*lines, "  }", "}", ""])


def wanted(ctx: Context) -> list[units.File]:
    """The rules, and the unit that loads them before the network is up."""
    rules = ctx.paths.config / "firewall.nft"
    unit = _UNIT.format(nft=NFT, rules=rules, table=TABLE)
    return [units.File(rules, text(ctx)), units.File(units.FOLDER / UNIT, unit)]


def asked_for() -> bool:
    """Whether the operator had rules loaded on this host, and did not take them back."""
    return (units.FOLDER / UNIT).exists()


def apply(ctx: Context) -> None:
    """Load the rules, now and at every boot. Problem if nft is missing or refuses them."""
    if not Path(NFT).exists():
        raise Problem(f"{NFT} is not installed", hint="apt install nftables")
    # Loaded first, all or none: after a kill in between the files still differ, so it is done again.
    only_check = [] if systemd.booted() else ["--check"]
    loaded = run([NFT, *only_check, "--file", "-"], stdin=text(ctx))
    if loaded.returncode:
        raise Problem(f"nft refused the rules: {loaded.tail}", hint="is nf_tables in this kernel?")
    units.write(wanted(ctx))
    systemd.systemctl("--no-reload", "enable", UNIT)
    if systemd.booted():
        systemd.systemctl("start", UNIT)


def remove(ctx: Context) -> bool:
    """Take the rules back; whether there were any."""
    made = [ctx.paths.config / "firewall.nft", units.FOLDER / UNIT]
    there = any(path.exists() for path in made)
    if there:
        if systemd.booted():
            systemd.systemctl("stop", UNIT)
        systemd.systemctl("--no-reload", "disable", UNIT)
        units.remove([units.File(path, "") for path in made])
    return there


def _ports(found: Iterable[listeners.Listener]) -> str:
    ranges = sorted({x.ports for x in found if x.ports != listeners.ANY_PORT})
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _of(addresses: Iterable[str], version: int) -> list[str]:
    """Addresses and networks of one version of IP; names have to be looked up by the operator."""
    found = []
    for text in addresses:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise BadRequest(
                f"{text} is a name: rules need addresses",
                hint="give nodes an IP address in the site file",
            ) from None
        if network.version == version:
            found.append(str(network))
    return found


def _set(name: str, kind: str, elements: list[str]) -> list[str]:
    made = [f"  set {name} {{", f"    type {kind}", "    flags interval", "    auto-merge"]
    made += [f"    elements = {{ {', '.join(elements)} }}"] if elements else []
    return [*made, "  }"]
