"""Promise: nodes install over HTTP by the lines that install.sh prints, and take no other key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bundles
import pytest
from bundles import MEDIUM
from host import Host, link
from scenario import Hosts

KEYRINGS = "/usr/share/keyrings/backendai-archive-keyring.*"
OFFER = "10.98.0.1:8080"
NODES = {
    "trixie": "apt-get install -y -q backendai-runtime",
    "el9": "dnf -y --releasever=9 install backendai-runtime",
}


def offer(host: Host, bundle: bundles.Bundle) -> str:
    """Serve the bundle by install.sh; the lines that it prints, to be pasted as they are."""
    call = [f"{MEDIUM}/install.sh", "--serve", OFFER]
    unit = ["--unit=offer", "--property=StandardOutput=file:/tmp/said"]
    host.check(["systemd-run", "-q", *unit, *call])
    waiting = f"until ss -Hltn | grep -q {OFFER}; do systemctl -q is-active offer || exit; done"
    host.check(["sh", "-c", waiting], timeout=60)
    said = host.sh("cat /tmp/said")
    return said.split("as root:\n")[1].split("Serving")[0]


@contextmanager
def pair(hosts: Hosts, suite: str, bundle: bundles.Bundle) -> Iterator[tuple[Host, Host]]:
    """A host that serves, and a node: of the same kind, for each prints the lines of its own."""
    with (
        link() as spaces,
        hosts.boot(suite, binds={bundle.folder: MEDIUM}, netns=spaces["hosta"]) as one,
        hosts.boot(suite, hostname="hostb", netns=spaces["hostb"]) as two,
    ):
        yield one, two


@pytest.mark.parametrize("suite", NODES)
def test_the_printed_lines_are_all_that_a_node_needs(
    suite: str, hosts: Hosts, light: bundles.Bundle
) -> None:
    with pair(hosts, suite, light) as (one, two):
        two.write("/tmp/add.sh", offer(one, light))
        two.check(["sh", "-e", "/tmp/add.sh"])
        two.check(["sh", "-c", NODES[suite]], timeout=120)
        assert two.check(["/opt/backendai/runtime/bin/python3.13", "-V"]).stdout
        assert one.sh("ps -o user= -p $(pgrep -f http.server | head -1)") in ("nobody", "65534")
        one.check(["systemctl", "stop", "offer"])


@pytest.mark.parametrize("suite", NODES)
def test_whoever_is_on_the_network_cannot_give_a_node_another_key(
    suite: str, hosts: Hosts, light: bundles.Bundle, other_key: bundles.Key
) -> None:
    """What is served is exchanged for a release by somebody else, with keys of theirs."""
    with pair(hosts, suite, light) as (one, two):
        lines = offer(one, light)
        keys = f"{bundles.STATE}/{light.name}/keys/backendai-archive-keyring"
        theirs = {
            ending: other_key.signer().public_key(armor=ending == "asc")
            for ending in ("asc", "gpg")
        }
        for ending, public in theirs.items():
            octal = "".join(f"\\0{byte:03o}" for byte in public)
            one.sh(f"printf %b '{octal}' >{keys}.{ending}")
        two.write("/tmp/add.sh", lines)
        two.run(["sh", "/tmp/add.sh"])  # as pasted: no line stops at another's failure
        held = two.sh(f"cat {KEYRINGS} 2>/dev/null | od -An -v -tx1 | tr -d ' \\n'")
        assert not [ending for ending, public in theirs.items() if public.hex() in held]
        ending = {"el9": "asc", "trixie": "gpg"}[suite]  # in the lines: nobody can exchange it
        key = light.folder / f"keys/backendai-archive-keyring.{ending}"
        assert held == key.read_bytes().hex()
