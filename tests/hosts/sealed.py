"""A network that leads nowhere, and a record of everything that was sent into it.

A host in it has loopback, its own bridges, and a default route through a cable whose far end is
ours: what tries to leave the host is seen there, with its destination, and goes no further.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from host import namespace_name

ETH_P_ALL = 3
NEAR, FAR = "site0", "sink0"
ADDRESS, GATEWAY = "192.0.2.1", "192.0.2.254"  # TEST-NET-1: nobody's
WAKE = 0.2  # seconds between looks at whether to stop


@dataclass
class Sealed:
    """A network namespace, and `attempts`: "ADDRESS PROTOCOL PORT" of what left it."""

    netns: str
    attempts: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    def record(self, ready: threading.Event) -> None:
        """Note every IPv4 and IPv6 packet that arrives at the far end. Runs in a thread."""
        with open(f"/run/netns/{self.netns}") as space:
            os.setns(space.fileno(), os.CLONE_NEWNET)  # of this thread alone
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as far:
            far.bind((FAR, 0))
            far.settimeout(WAKE)
            ready.set()
            while not self.stopping.is_set():
                try:
                    frame, sender = far.recvfrom(2048)
                except TimeoutError:
                    continue
                found = destination(frame)
                if found and sender[2] != socket.PACKET_OUTGOING:  # type: ignore[attr-defined]
                    self.attempts.add(found)


def destination(frame: bytes) -> str:
    """Where an Ethernet frame was to go; empty for anything but IP."""
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == 0x0800:
        header = (frame[14] & 0x0F) * 4
        protocol, address = frame[23], socket.inet_ntop(socket.AF_INET, frame[30:34])
        payload = frame[14 + header :]
    elif kind == 0x86DD:
        protocol, address = frame[20], socket.inet_ntop(socket.AF_INET6, frame[38:54])
        payload = frame[54:]
    else:
        return ""
    name = {6: "tcp", 17: "udp"}.get(protocol)
    if not name or len(payload) < 4:
        return f"{address} protocol {protocol}"
    return f"{address} {name} {struct.unpack('!H', payload[2:4])[0]}"


@contextmanager
def sealed(name: str) -> Iterator[Sealed]:
    """Make the network; it goes with the block. Needs root."""
    space = namespace_name(name)
    _ip("netns", "add", space)
    network = Sealed(space)
    ready = threading.Event()
    thread = threading.Thread(target=network.record, args=(ready,), daemon=True)
    try:
        inside = ("-n", space)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        for link in (NEAR, FAR):
            setting = f"net.ipv6.conf.{link}.disable_ipv6=1"  # no router solicitations
            subprocess.run(["ip", "netns", "exec", space, "sysctl", "-qw", setting], check=True)
            _ip(*inside, "link", "set", link, "up")
        _ip(*inside, "addr", "add", f"{ADDRESS}/24", "dev", NEAR)
        far = ("link", "show", FAR)
        hardware = _ip(*inside, "-o", *far).split("link/ether ")[1].split()[0]
        _ip(*inside, "neigh", "add", GATEWAY, "lladdr", hardware, "dev", NEAR, "nud", "permanent")
        _ip(*inside, "route", "add", "default", "via", GATEWAY)
        thread.start()
        if not ready.wait(30):
            raise RuntimeError("the record of the sealed network did not start")
        yield network
    finally:
        network.stopping.set()
        thread.join(10) if thread.is_alive() else None
        subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
