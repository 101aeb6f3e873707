"""`python -I -m backendai_serve.links SETTINGS`: joins one container to those of its session on other nodes.

The agent may not touch the network of its host. It asks this program, which systemd starts for each
connection to a socket that the agent alone may use: one request on standard input, a JSON object, and
the answer on standard output, "ok" or why not. SETTINGS, a file that backendai-ctl writes, says who are
nodes of the site; frames go to none but them.

A container gets one device, BRIDGE, with an address that its session's containers have among themselves.
Below it is a VXLAN device, LINK, which was made in the host's network, whose packets it sends, and lives
in the container's: nothing is left on the host, and both are gone with the container. Its number is what
other nodes call this container by; each sends to the numbers that its request names, so sessions do not
meet, whatever addresses they use. The bridge is there for two containers of one node: the kernel hands
frames between their VXLAN devices as they are, with the route of the sender, and a bridge takes that off.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import re
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendai_serve import rtnetlink
from backendai_serve.rtnetlink import Attribute, Kernel

BRIDGE, LINK = "baimulti0", "bailink0"
MOST = 256 * 1024  # bytes of a request
MEMBERS = 2048  # containers of a session, at most
NUMBERS = range(1, 1 << 24)  # of VXLAN
OVERHEAD = {4: 50, 6: 70}  # bytes that a frame grows by, by the version of IP between nodes
_NETNS = re.compile(r"/(?:var/)?run/(?:[a-z0-9-]+/){1,3}netns/[0-9a-f]{8,64}")
_OWN = Path("/proc/self/ns/net")
_MTU_OF_WAY = {4: (socket.IPPROTO_IP, 14), 6: (socket.IPPROTO_IPV6, 24)}
_LEAST_MTU = 576
_PATIENCE, _PAUSE = 5.0, 0.1  # seconds
_ALL = bytes(6)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """A request that is not served; its text is the answer."""


@dataclass(frozen=True)
class Settings:
    """`local`: the address of this node. `nodes`: whom it may send to. `port`: UDP."""

    local: Address
    nodes: frozenset[Address]
    port: int


@dataclass(frozen=True)
class Request:
    """`netns`: the container's network. `members`: node and number of each container of the session."""

    netns: str
    network: ipaddress.IPv4Network
    own: int  # which of the members it is
    members: tuple[tuple[Address, int], ...]

    def address(self, member: int) -> ipaddress.IPv4Address:
        return address_of(self.network, member)


def address_of(network: ipaddress.IPv4Network, member: int) -> ipaddress.IPv4Address:
    """The address of a session's container, by its place in the list."""
    return network.network_address + 1 + member


def mac(address: ipaddress.IPv4Address) -> bytes:
    """That of a container's device: locally administered, and the address itself."""
    return b"\x02\x00" + address.packed


def settings(path: Path) -> Settings:
    """What backendai-ctl wrote. Refused if it wrote nothing."""
    try:
        row = json.loads(path.read_text("utf-8"))
        nodes = frozenset(map(ipaddress.ip_address, row["nodes"]))
        return Settings(ipaddress.ip_address(row["local"]), nodes, int(row["port"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path}: {error}; run on this node: backendai-ctl reconfigure") from error


def request(text: str, known: Settings) -> Request:
    """What is asked for. Refused if it is not a request, or names who is no node of the site."""
    try:
        row = json.loads(text)
        netns, own, given = row["netns"], row["own"], row["members"]
        network = ipaddress.IPv4Network(row["network"])
        members = tuple((ipaddress.ip_address(_text(node)), _number(vni)) for node, vni in given)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f"the request is none: {error}") from error
    if not isinstance(netns, str) or not _NETNS.fullmatch(netns):
        raise Refused(f"the request is none: {netns!r} is no network of a container")
    if type(own) is not int or not 0 <= own < len(members) <= MEMBERS:
        raise Refused("the request is none: the container is not one of its session")
    if len(members) > network.num_addresses - 2:
        raise Refused(f"{network} has no room for {len(members)} containers")
    if len(set(members)) != len(members):
        raise Refused("two containers of the session have the same number: start another session")
    if members[own][0] != known.local:
        raise Refused(f"{members[own][0]} is not the address of this node, {known.local}")
    if strangers := {str(node) for node, _ in members if node not in known.nodes}:
        raise Refused(f"no node of the site: {', '.join(sorted(strangers))}")
    return Request(netns, network, own, members)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no address")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or value not in NUMBERS:
        raise ValueError(f"{value!r} is no number of VXLAN")
    return value


def join(asked: Request, known: Settings) -> None:
    """Give the container its device. Refused if the kernel does not; the process is in its network then."""
    mtu = mtu_for(asked, known)
    netns = os.open(asked.netns, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(netns).st_ino == _OWN.stat().st_ino:
        raise Refused("the container has the network of the host")
    _make_when_free(known, asked.members[asked.own][1], netns, mtu)
    os.setns(netns, os.CLONE_NEWNET)
    address = asked.address(asked.own)
    with Kernel() as kernel:
        kernel.link(
            [
                (rtnetlink.LINK_NAME, rtnetlink.text(BRIDGE)),
                (rtnetlink.LINK_ADDRESS, mac(address)),
                (rtnetlink.LINK_INFO, [(rtnetlink.INFO_KIND, rtnetlink.text("bridge"))]),
            ]
        )
        bridge, link = map(socket.if_nametoindex, (BRIDGE, LINK))
        for member, (node, vni) in enumerate(asked.members):
            if member != asked.own:
                for frames in (_ALL, mac(asked.address(member))):
                    kernel.way(link, frames, node.packed, vni)
        master: list[Attribute] = [(rtnetlink.LINK_MASTER, struct.pack("=i", bridge))]
        kernel.link(master, index=link, up=True)
        kernel.address(bridge, address.packed, asked.network.prefixlen)
        kernel.link([], index=bridge, up=True)


def _make_when_free(known: Settings, vni: int, netns: int, mtu: int) -> None:
    """Make the device; the one before a restart of the container goes a moment after it."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with Kernel() as kernel:
                make_vxlan(kernel, known, vni, netns=netns, mtu=mtu)
        except FileExistsError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        else:
            return


def make_vxlan(
    kernel: Kernel, known: Settings, vni: int, *, netns: int | None = None, mtu: int = 1400
) -> None:
    """Make the device LINK, which sends by the network of this process, in that one or in `netns`."""
    local = rtnetlink.VXLAN_LOCAL4 if known.local.version == 4 else rtnetlink.VXLAN_LOCAL6
    given: list[Attribute] = [
        (rtnetlink.LINK_NAME, rtnetlink.text(LINK)),
        (rtnetlink.LINK_MTU, struct.pack("=I", mtu)),
        (
            rtnetlink.LINK_INFO,
            [
                (rtnetlink.INFO_KIND, rtnetlink.text("vxlan")),
                (
                    rtnetlink.INFO_DATA,
                    [
                        (rtnetlink.VXLAN_ID, struct.pack("=I", vni)),
                        (local, known.local.packed),
                        (rtnetlink.VXLAN_PORT, struct.pack("!H", known.port)),
                        (rtnetlink.VXLAN_LEARNING, b"\0"),
                    ],
                ),
            ],
        ),
    ]
    if netns is not None:
        given.append((rtnetlink.LINK_NETNS, struct.pack("=i", netns)))
    kernel.link(given)


def mtu_for(asked: Request, known: Settings) -> int:
    """The greatest packet that fits every way to the nodes of a session. Refused if there is no way."""
    found = []
    for node in {node for node, _ in asked.members}:
        version = node.version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((str(known.local), 0))
                probe.connect((str(node), known.port))  # sends nothing
                found.append(probe.getsockopt(*_MTU_OF_WAY[version]) - OVERHEAD[version])
            except OSError as error:
                raise Refused(f"there is no way to node {node}: {error.strerror}") from error
    return max(_LEAST_MTU, min(found))


def look(known: Settings) -> None:
    """Make such a device where nobody sees it. OSError: the kernel's word."""
    os.unshare(os.CLONE_NEWNET)
    with Kernel() as kernel:
        make_vxlan(kernel, known, 1)
        kernel.link(
            [
                (rtnetlink.LINK_NAME, rtnetlink.text(BRIDGE)),
                (rtnetlink.LINK_INFO, [(rtnetlink.INFO_KIND, rtnetlink.text("bridge"))]),
            ]
        )


def reason(error: OSError) -> str:
    """The kernel's word in ours."""
    if rtnetlink.unknown(error):
        return "the kernel of this node has no VXLAN: install its module `vxlan`"
    if error.errno == errno.EEXIST:
        return "another session on this node has this container's number: start another session"
    return f"the kernel says: {error.strerror or error}"


def serve(text: str, path: Path) -> str:
    """The answer to a request; `{}` asks whether this node could do it."""
    try:
        known = settings(path)
        if text.strip() == "{}":
            look(known)
        else:
            join(request(text, known), known)
    except Refused as refused:
        return str(refused)
    except OSError as error:
        return reason(error)
    return "ok"


def main() -> None:
    text, said = sys.stdin.buffer.read(MOST + 1), "the request is too long"
    if len(text) <= MOST:
        said = serve(text.decode("utf-8", "replace"), Path(sys.argv[1]))
    if said != "ok":
        print(f"<4>{said}", file=sys.stderr)
    sys.stdout.write(said)


if __name__ == "__main__":
    main()
