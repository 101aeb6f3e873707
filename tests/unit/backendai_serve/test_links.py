"""What joins a container to those of its session: what it refuses, and what the kernel then has."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backendai_serve import links, rtnetlink

SOURCES = Path(__file__).resolve().parents[3] / "src"
HERE, THERE = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2")
KNOWN = links.Settings(HERE, frozenset([HERE, THERE]), 6005)
GOOD: dict[str, Any] = {
    "netns": "/var/run/docker/netns/0123456789ab",
    "network": "198.18.0.0/16",
    "own": 1,
    "members": [["10.0.0.2", 7], ["10.0.0.1", 8]],
}


def refused(**other: Any) -> str:
    with pytest.raises(links.Refused) as told:
        links.request(json.dumps({**GOOD, **other}), KNOWN)
    return str(told.value)


def test_a_request_is_read() -> None:
    asked = links.request(json.dumps(GOOD), KNOWN)
    assert [str(asked.address(member)) for member in (0, 1)] == ["198.18.0.1", "198.18.0.2"]
    assert asked.members == ((THERE, 7), (HERE, 8))


@pytest.mark.parametrize(
    "netns",
    [
        "/proc/1/ns/net",
        "/run/docker/netns/default",
        "/run/docker/netns/../../0123456789ab",
        "/run/docker/netns/0123456789ab/x",
        "/etc/docker/netns/0123456789ab",
        7,
    ],
)
def test_only_the_network_of_a_container_is_entered(netns: object) -> None:
    assert "is no network of a container" in refused(netns=netns)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"members": [["10.0.0.9", 7], ["10.0.0.1", 8]]}, "no node of the site: 10.0.0.9"),
        ({"own": 0}, "10.0.0.2 is not the address of this node, 10.0.0.1"),
        ({"own": 2}, "not one of its session"),
        ({"own": True}, "not one of its session"),
        ({"own": -1}, "not one of its session"),
        ({"members": [["10.0.0.1", 8], ["10.0.0.1", 8]]}, "have the same number"),
        ({"members": [["10.0.0.2", 0], ["10.0.0.1", 8]]}, "0 is no number of VXLAN"),
        ({"members": [["10.0.0.2", 1 << 24], ["10.0.0.1", 8]]}, "is no number of VXLAN"),
        ({"members": [["10.0.0.2", "7"], ["10.0.0.1", 8]]}, "'7' is no number of VXLAN"),
        ({"members": [[167772162, 7], ["10.0.0.1", 8]]}, "167772162 is no address"),
        ({"members": [["gpu1", 7], ["10.0.0.1", 8]]}, "'gpu1' does not appear to be an IPv4"),
        ({"members": 7}, "the request is none"),
        ({"network": "198.18.0.0/31"}, "has no room for 2 containers"),
        ({"network": "198.18.0.1/16"}, "has host bits set"),
    ],
)
def test_what_is_no_request_is_refused(other: dict[str, object], said: str) -> None:
    assert said in refused(**other)


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "[" * 100_000, '{"netns": 1}'])
def test_what_is_no_json_of_ours_is_refused(text: str) -> None:
    with pytest.raises(links.Refused, match="the request is none"):
        links.request(text, KNOWN)


def test_without_settings_it_says_who_makes_them(tmp_path: Path) -> None:
    said = links.serve("{}", tmp_path / "links.json")
    assert said.endswith("run on this node: backendai-ctl reconfigure")


def test_attributes_are_filled_up_to_four_bytes() -> None:
    made = rtnetlink.packed([(3, b"abc\0"), (4, [(1, b"x")])])
    assert made == (
        (8).to_bytes(2, sys.byteorder)
        + (3).to_bytes(2, sys.byteorder)
        + b"abc\0"
        + (12).to_bytes(2, sys.byteorder)
        + (0x8004).to_bytes(2, sys.byteorder)
        + (5).to_bytes(2, sys.byteorder)
        + (1).to_bytes(2, sys.byteorder)
        + b"x\0\0\0"
    )


# Two nodes, two containers on the first and one on the other; what each hears from each.
WORLD = """
set -e
mount -t tmpfs none /run
mkdir -p /run/engine/netns
made() { touch "/run/engine/netns/$1"; unshare "--net=/run/engine/netns/$1" true; }
within() { name=$1; shift; nsenter "--net=/run/engine/netns/$name" "$@"; }
for name in aaaaaaaa bbbbbbbb cccccccc dddddddd; do made $name; within $name ip link set lo up; done
ip link set lo up
ip link add up0 mtu 9000 type veth peer name up1 mtu 9000 netns /run/engine/netns/dddddddd
ip address add 10.0.0.1/24 dev up0
ip link set up0 up
within dddddddd ip address add 10.0.0.2/24 dev up1
within dddddddd ip link set up1 up
exec "$@"
"""
TRY = """
import json, os, socket, subprocess, sys, threading
from pathlib import Path
from backendai_serve import links

FOLDER = "/run/engine/netns"
MEMBERS = [["10.0.0.1", 11], ["10.0.0.1", 12], ["10.0.0.2", 11]]
NAMES = ["aaaaaaaa", "bbbbbbbb", "cccccccc"]

def forked(netns, work):
    ours, theirs = os.pipe()
    if not os.fork():
        if netns:
            os.setns(os.open(f"{FOLDER}/{netns}", os.O_RDONLY), os.CLONE_NEWNET)
        os.write(theirs, json.dumps(work()).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours) as told:
        return json.loads(told.read() or "null")

def settings(local):
    path = Path("/run/links.json")
    path.write_text(json.dumps({"local": local, "nodes": ["10.0.0.1", "10.0.0.2"], "port": 6005}))
    return path

def join(own, **other):
    node = MEMBERS[own][0]
    asked = {"netns": f"{FOLDER}/{NAMES[own]}", "network": "198.18.0.0/16", "own": own, "members": MEMBERS}
    at = "dddddddd" if node == "10.0.0.2" else ""
    return forked(at, lambda: links.serve(json.dumps({**asked, **other}), settings(node)))

def hear(own):
    def work():
        socket.create_server(("", 7000)).accept()[0].sendall(NAMES[own].encode())
    return work

def say(own, to):
    def work():
        for _ in range(50):
            try:
                return socket.create_connection((f"198.18.0.{to + 1}", 7000), 2).recv(99).decode()
            except ConnectionRefusedError:
                threading.Event().wait(0.1)
            except OSError as error:
                return str(error)
    return forked(NAMES[own], work)

told = {"able": forked("", lambda: links.serve("{}", settings("10.0.0.1")))}
told["joined"] = [join(own) for own in range(3)]
links._PATIENCE = 0.3
told["again"] = join(0)
told["host"] = sorted(name for _, name in socket.if_nameindex())
told["heard"] = []
for own in range(3):
    for to in range(3):
        if own != to:
            ear = os.fork()
            if not ear:
                os.setns(os.open(f"{FOLDER}/{NAMES[to]}", os.O_RDONLY), os.CLONE_NEWNET)
                hear(to)()
                os._exit(0)
            told["heard"].append(say(own, to))
            os.kill(ear, 9)
            os.waitpid(ear, 0)
shown = subprocess.run(["nsenter", f"--net={FOLDER}/aaaaaaaa", "ip", "-o", "link", "show", "baimulti0"],
    capture_output=True, text=True).stdout
told["mtu"] = shown.split(" mtu ")[1].split()[0]
print(json.dumps(told))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and iproute2")
def test_containers_of_one_and_of_two_nodes_reach_each_other() -> None:
    """In networks of this machine's own kernel; on the host there is no device of theirs."""
    words = ["unshare", "--mount", "--net", "sh", "-c", WORLD, "sh", sys.executable, "-c", TRY]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(SOURCES), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if "no VXLAN" in told["able"]:
        pytest.skip(told["able"])
    assert told["able"] == "ok" and told["joined"] == ["ok"] * 3
    assert told["again"].startswith("another session on this node has this container's number")
    assert told["host"] == ["lo", "up0"]
    names = ["aaaaaaaa", "bbbbbbbb", "cccccccc"]
    assert told["heard"] == [to for own in names for to in names if own != to]
    assert told["mtu"] == str(9000 - 50)
