"""Which node this host is, and the site as that node sees it.

Every step works with facts and a site that fit its host. For a node they are made here: components
by its roles, listeners on its address, servers of other nodes as external ones.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import WILDCARDS, host_port, is_address, split_host_port
from backendai_ctl.topology import layout

PROC = Path("/proc")
_SIOCGIFADDR = 0x8915
_GLOBAL = "00"  # scope of an IPv6 address


def name_file(facts: Facts) -> Path:
    """Holds the name of this node; written by `node join`, wins over the host name."""
    return facts.paths.config / "node"


def host_name() -> str:
    return socket.gethostname().partition(".")[0].lower()


def name(site: Site, facts: Facts) -> str:
    """Which node this host is; empty for a single host, BadRequest if it is none of them."""
    if not site.nodes:
        return ""
    written = (files.read(name_file(facts)) or "").strip()
    found = written or host_name()
    if found in site.nodes:
        return found
    why = f"says {file_says(facts)}" if written else f"and its host name is {found!r}"
    raise BadRequest(
        f"this host is none of the site's nodes ({', '.join(site.nodes)}) {why}",
        hint="name it in the site file: [nodes.NAME]; or run: backendai-ctl node join FILE",
    )


def file_says(facts: Facts) -> str:
    return f"{(files.read(name_file(facts)) or '').strip()!r} in {name_file(facts)}"


def context(facts: Facts, site: Site, say: Callable[[str], None] | None = None) -> Context:
    """What the steps of this host work with. BadRequest if it is no node of the site."""
    facts, node = with_user(facts, site), name(site, facts)
    if node:
        facts, site = view(facts, site, node, own_address(site, node))
    return Context(facts, site, say, node) if say else Context(facts, site, node=node)


def on_behalf(facts: Facts, site: Site, node: str) -> Context:
    """What the steps of another node would work with."""
    seen, its_site = view(with_user(facts, site), site, node, site.nodes[node].address)
    return Context(replace(seen, units_known=False), its_site, node=node)


def with_user(facts: Facts, site: Site) -> Facts:
    """Facts with the services' user as the site wants it."""
    user = site.user
    return replace(
        facts,
        user=user.name or facts.user,
        uid=user.uid or facts.uid,
        gid=user.gid or user.uid or facts.gid,
    )


def view(facts: Facts, site: Site, node: str, address: str) -> tuple[Facts, Site]:
    """Facts and site as a node sees them; `address`: what its services listen on."""
    only = layout.components_of(site, facts, node)
    if node == layout.origin(site, facts):  # secrets are made there, by what is installed
        only |= facts.on_request()
    listen = site.network.listen if site.network.listen in WILDCARDS else address
    changed: dict[str, object] = {
        "network": site.network.model_copy(update={"listen": listen}),
        "agent": site.agent.model_copy(update={"address": address}),
    }
    for server, table in layout.TABLES.items():
        there = layout.serving(site, facts, server)
        if there and node not in there:
            elsewhere = [site.nodes[other].address for other in there]
            changed[table] = _external(getattr(site, table), elsewhere)
    return replace(facts, only=only), site.model_copy(update=changed)


def _external(server: object, hosts: list[str]) -> object:
    """A server of the site's own as other nodes see it."""
    update: dict[str, object] = {"mode": "external"}
    if endpoints := getattr(server, "endpoints", None):
        port = split_host_port(endpoints[0])[1]
        update["endpoints"] = [host_port(f"{host}:{port}") for host in hosts]
    else:
        update["host"] = hosts[0]
    return server.model_copy(update=update)  # type: ignore[attr-defined]


def own_address(site: Site, node: str) -> str:
    """The IP address on which the services of this node listen. Problem if there is none here."""
    wanted = site.nodes[node]
    if wanted.interface is None:
        if is_address(wanted.address):
            return wanted.address
        return _of_name(node, wanted.address)
    if "/" in wanted.interface or is_address(wanted.interface):
        return _of_network(node, wanted.interface)
    return _of_interface(node, wanted.interface)


def is_here(address: str) -> bool:
    """Whether an IP address is one of this host's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _of_name(node: str, host: str) -> str:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Problem(
            f"nodes.{node}.address: {host} has no address: {error.strerror}",
            hint="make it known (DNS, /etc/hosts), or name an IP address",
        ) from error
    found = list(dict.fromkeys(str(row[4][0]) for row in rows))
    mine = [a for a in found if not ipaddress.ip_address(a).is_loopback and is_here(a)]
    if not mine:
        raise Problem(
            f"nodes.{node}.address: {host} is {', '.join(found)}, which is none of this host's "
            "addresses that others reach",
            hint=f"correct it, or name this host's own: nodes.{node}.interface",
        )
    return mine[0]


def _of_network(node: str, network: str) -> str:
    wanted = ipaddress.ip_network(network)
    mine = [a for a in addresses() if ipaddress.ip_address(a) in wanted]
    if not mine:
        raise Problem(
            f"nodes.{node}.interface: this host has no address in {network}",
            hint="see: ip -brief address",
        )
    return mine[0]


def _of_interface(node: str, interface: str) -> str:
    mine = [a for n, a in interfaces() if n == interface]
    if not mine:
        raise Problem(
            f"nodes.{node}.interface: {interface} is not an interface of this host with an IPv4 address",
            hint="see: ip -brief address",
        )
    return mine[0]


def addresses(proc: Path = PROC) -> list[str]:
    """All IP addresses of this host; first the one of each interface that the kernel prefers.

    Of IPv6 those that others reach. proc_net(5): fib_trie and if_inet6.
    """
    lines = (files.read(proc / "net/fib_trie") or "").splitlines()
    others = [one.split()[-1] for one, two in pairwise(lines) if two.endswith("/32 host LOCAL")]
    for line in (files.read(proc / "net/if_inet6") or "").splitlines():
        digits, _, _, scope, *_ = line.split()
        if scope == _GLOBAL:
            others.append(str(ipaddress.IPv6Address(int(digits, 16))))
    return list(dict.fromkeys([*(address for _, address in interfaces()), *others]))


def interfaces() -> list[tuple[str, str]]:
    """Interfaces of this host that are up, and the first IPv4 address of each."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            try:
                row = fcntl.ioctl(
                    probe.fileno(), _SIOCGIFADDR, struct.pack("256s", interface.encode())
                )
            except OSError:
                continue  # it has none
            found.append((interface, socket.inet_ntoa(row[20:24])))
    return found
