"""One private network of several hosts, which leads nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from host import namespace_name

LINK = "site0"  # what the hosts call their end of the cable


@contextmanager
def switched(addresses: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Hosts by name and IPv4 address in one /24; gives host name -> network namespace. Needs root."""
    spaces = {name: namespace_name(name) for name in addresses}
    middle = namespace_name("switch")
    try:
        _ip("netns", "add", middle)
        _ip("-n", middle, "link", "add", "switch", "type", "bridge")
        _quiet(middle, "switch")
        _ip("-n", middle, "link", "set", "switch", "up")
        for number, (name, space) in enumerate(spaces.items()):
            _ip("netns", "add", space)
            plug = f"port{number}"
            peer = ("peer", "name", plug, "netns", middle)
            _ip("-n", space, "link", "add", LINK, "type", "veth", *peer)
            _ip("-n", middle, "link", "set", plug, "master", "switch")
            for where, link in ((middle, plug), (space, LINK)):
                _quiet(where, link)
                _ip("-n", where, "link", "set", link, "up")
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "addr", "add", f"{addresses[name]}/24", "dev", LINK)
        yield spaces
    finally:
        for space in (*spaces.values(), middle):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _quiet(space: str, link: str) -> None:
    """No router solicitations."""
    setting = f"net.ipv6.conf.{link}.disable_ipv6=1"
    subprocess.run(["ip", "netns", "exec", space, "sysctl", "-qw", setting], check=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
