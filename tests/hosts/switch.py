"""One private network of several hosts, which leads nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from host import namespace_name

LINK = "site0"  # what the hosts call their end of the cable


@dataclass
class Switch:
    """`spaces`: host name -> network namespace. A host's port can be shut while all runs on."""

    middle: str
    spaces: dict[str, str]
    ports: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def cut(self, name: str) -> Iterator[None]:
        """No packet from or to this host within the block: nobody is told, as if it were away."""
        _ip("-n", self.middle, "link", "set", self.ports[name], "nomaster")
        try:
            yield
        finally:
            _ip("-n", self.middle, "link", "set", self.ports[name], "master", "switch")


@contextmanager
def switched(addresses: Mapping[str, str]) -> Iterator[Switch]:
    """Hosts by name and IPv4 address in one /24. Needs root."""
    made = Switch(namespace_name("switch"), {name: namespace_name(name) for name in addresses})
    middle = made.middle
    try:
        _ip("netns", "add", middle)
        _ip("-n", middle, "link", "add", "switch", "type", "bridge")
        _quiet(middle, "switch")
        _ip("-n", middle, "link", "set", "switch", "up")
        for number, (name, space) in enumerate(made.spaces.items()):
            _ip("netns", "add", space)
            plug = made.ports[name] = f"port{number}"
            peer = ("peer", "name", plug, "netns", middle)
            _ip("-n", space, "link", "add", LINK, "type", "veth", *peer)
            _ip("-n", middle, "link", "set", plug, "master", "switch")
            for where, link in ((middle, plug), (space, LINK)):
                _quiet(where, link)
                _ip("-n", where, "link", "set", link, "up")
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "addr", "add", f"{addresses[name]}/24", "dev", LINK)
        yield made
    finally:
        for space in (*made.spaces.values(), middle):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _quiet(space: str, link: str) -> None:
    """No router solicitations."""
    setting = f"net.ipv6.conf.{link}.disable_ipv6=1"
    subprocess.run(["ip", "netns", "exec", space, "sysctl", "-qw", setting], check=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
