"""Rules for nftables: where containers and services of this host may not go, and who may connect to it.

The first wherever there is an agent, the last when the operator asked for it: `backendai-ctl node
firewall --apply`; services are kept from each other wherever there are rules. A table of our own, which
refuses and never allows: rules of the operator's keep their say. It looks before addresses are
rewritten, so that ports which Docker publishes are covered as well. How it gets into the kernel, and
stays there: firewall.loaded.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest
from backendai_ctl.firewall import containers, links, services
from backendai_ctl.firewall.ranges import as_set, of_version, ports
from backendai_ctl.platform import files
from backendai_ctl.site.values import is_address
from backendai_ctl.topology import layout, listeners

TABLE = "inet backendai"
_NODE_CHAIN = "incoming"
_MADE_FROM = (
    "made_from_"  # a set without elements: its name tells which file the kernel's rules are of
)
_NAME = re.compile(r"^# (\S+) is (\S.*)$", re.MULTILINE)


def path(ctx: Context) -> Path:
    return ctx.paths.config / "firewall.nft"


def asked_for(ctx: Context) -> bool:
    """Whether the operator had rules of nodes loaded on this host, and did not take them back."""
    return f"chain {_NODE_CHAIN} " in (files.read(path(ctx)) or "")


def needed(ctx: Context) -> bool:
    """Whether this host has any rules."""
    return ctx.here("agent") or bool(ctx.node and asked_for(ctx))


def text(ctx: Context, *, of_nodes: bool) -> str:
    """The rules of this host as a file for nft.

    BadRequest if there is nothing to rule, or a node has no address; Pending while a name has none.
    """
    if of_nodes:
        _refuse_what_has_no_nodes(ctx)
    wanted = containers.Closed((), (), (), {})
    if ctx.here("agent"):
        wanted = containers.closed(ctx, _known(ctx))
    nodes = sorted({*wanted.nodes, *(layout.addresses(ctx.site) if of_nodes else ())})
    allowed = sorted(set(ctx.site.network.allow)) if of_nodes else []
    lines = []
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        lines += as_set(f"nodes{version}", kind, of_version(nodes, version))
        if of_nodes:
            lines += as_set(f"users{version}", kind, of_version(allowed, version))
        if ctx.here("agent"):
            lines += as_set(f"closed{version}", kind, of_version(wanted.others, version))
    if ctx.here("agent"):
        lines += [*containers.chain(ctx, wanted), *links.chains(ctx)]
    lines += services.chain(ctx)
    lines += _incoming(ctx) if of_nodes else []
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    return "\n".join(
        [
            f"# {f'Node {ctx.node}' if ctx.node else 'A single host'}. Made by backendai-ctl.",
            *(f"# {name} is {', '.join(found)}" for name, found in sorted(wanted.names.items())),
            f"table {TABLE}",
            f"delete table {TABLE}",
            f"table {TABLE} {{",
            *as_set(f"{_MADE_FROM}{digest}", "ipv4_addr", []),
            *lines,
            "}",
            "",
        ]
    )


def nodes(ctx: Context) -> tuple[str, ...]:
    """Addresses of all nodes beyond loopback; Pending while a name has none."""
    return containers.closed(ctx, _known(ctx)).nodes


def fingerprint(rules: str) -> str:
    """What says in the kernel that rules were loaded from this text."""
    found = re.search(rf"\b{_MADE_FROM}[0-9a-f]+", rules)
    return found[0] if found else ""


def _refuse_what_has_no_nodes(ctx: Context) -> None:
    if not ctx.node:
        raise BadRequest(
            "the site file has no nodes: nothing but what users need leaves loopback",
            hint="describe them in the site file: [nodes.NAME]",
        )
    for address in layout.addresses(ctx.site):
        if not is_address(address):
            raise BadRequest(
                f"{address} is a name: rules need addresses",
                hint="give nodes an IP address in the site file",
            )


def _incoming(ctx: Context) -> list[str]:
    """The chain of a node: other nodes may connect, users to what is theirs, nobody else."""
    found = listeners.numbered(listeners.expected(ctx))
    nodes = ports(x.ports for x in found if x.bound in ("agent", "any"))
    users = ports(x.ports for x in found if x.bound == "listen")
    lines = [
        f"  chain {_NODE_CHAIN} {{",
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
    every = ", ".join(found for found in (users, nodes) if found)
    lines += [f"    tcp dport {{ {every} }} drop"] if every else []
    return [*lines, "  }"]


def _known(ctx: Context) -> dict[str, tuple[str, ...]]:
    """Addresses that names had when the rules were made: a DNS server that is away opens nothing."""
    made = files.read(path(ctx)) or ""
    return {name: tuple(found.split(", ")) for name, found in _NAME.findall(made)}
