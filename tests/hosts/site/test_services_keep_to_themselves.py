"""Promise: no service reaches another one by a socket, a port, a folder or a file without having to.

Looked at with the eyes of each service: in the mounts of its main process, as its user.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import own_servers
import pytest
from site_host import SERVERS, SERVICES, SiteHost

PYTHON = "/opt/backendai/current/bin/python"
AGENT, VOLUMES = "agent", ("agent", "storage-proxy")
ALL = (*SERVICES, *SERVERS)
DOCKER = own_servers.ENGINE_SOCKET
LINKS = "/run/backendai-links.sock"  # joins containers over nodes, by systemd
# Tells what of the paths and ports in stdin can be connected to, listed and written to.
LOOK = """
import json, os, socket, sys
asked, seen = json.load(sys.stdin), {}
for path in asked["sockets"]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(path)
            seen.setdefault("connected", []).append(path)
        except OSError:
            pass
for port in asked["ports"]:
    with socket.socket() as client:
        client.settimeout(5)
        try:
            client.connect(("127.0.0.1", port))
            seen.setdefault("entered", []).append(port)
        except OSError:
            pass
for path in asked["folders"]:
    try:
        seen.setdefault("listed", {})[path] = sorted(os.listdir(path))
    except OSError:
        pass
    try:
        with open(path + "/.touched", "w"):
            seen.setdefault("written", []).append(path)
        os.unlink(path + "/.touched")
    except OSError:
        pass
print(json.dumps(seen))
"""
# Asks the agent as a manager does: with the keys in a folder, or without any.
CALL = """
import asyncio, os, sys
from callosum.lower.zeromq import ZeroMQAddress, ZeroMQRPCTransport
from zmq.auth import load_certificate
from ai.backend.common import msgpack
from ai.backend.common.auth import ManagerAuthHandler, PublicKey, SecretKey
from ai.backend.common.clients.agent.peer import PeerInvoker

def login(folder):
    agent, _ = load_certificate(f"{folder}/agent.key_secret")
    public, secret = load_certificate(f"{folder}/manager.key_secret")
    return ManagerAuthHandler("local", PublicKey(agent), PublicKey(public), SecretKey(secret))

async def main():
    peer = PeerInvoker(
        connect=ZeroMQAddress("tcp://127.0.0.1:6001"),
        transport=ZeroMQRPCTransport,
        authenticator=login(sys.argv[1]) if len(sys.argv) > 1 else None,
        serializer=msgpack.packb,
        deserializer=msgpack.unpackb,
    )
    try:
        async with asyncio.timeout(20):
            await peer.__aenter__()
            peer.call.order_key.set("")
            print(await peer.call.ping("well"), flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
    os._exit(0)

asyncio.run(main())
"""


def seen_by(site: SiteHost, service: str, **asked: Sequence[str | int]) -> dict[str, Any]:
    host = site.host
    pid = host.sh(f"systemctl show backendai-{service} --property=MainPID --value")
    user, group = host.sh(f"stat -c '%u %g' /proc/{pid}").split()
    groups = host.sh("getent group backendai-docker").split(":")[2] if service == AGENT else group
    call = ["nsenter", "-t", pid, "-m", "--", "setpriv", f"--reuid={user}", f"--regid={group}"]
    call += [f"--groups={groups}", "--no-new-privs", PYTHON, "-I", "-c", LOOK]
    stdin = json.dumps({"sockets": [], "ports": [], "folders": [], **asked})
    found: dict[str, Any] = json.loads(host.check(call, stdin=stdin).stdout)
    return found


@pytest.fixture(scope="module")
def sockets(allinone: SiteHost) -> list[str]:
    """Every socket on which somebody listens, by its path."""
    allinone.wait_healthy()
    shown = allinone.host.sh("ss -Hxl | awk '$5 ~ /^\\// {print $5}'").split()
    found = sorted(path.replace("/var/run/", "/run/") for path in shown)
    assert DOCKER in found
    assert any(path.startswith("/var/lib/backendai/agent/ipc/") for path in found)
    for name in ("manager", "postgresql"):
        assert any(path.startswith(f"/run/backendai/{name}/") for path in found)
    return found


def own(service: str) -> tuple[str, str]:
    return f"/var/lib/backendai/{service}", f"/run/backendai/{service}"


@pytest.mark.parametrize("service", ALL)
def test_no_service_connects_to_a_socket_of_another(
    allinone: SiteHost, sockets: list[str], service: str
) -> None:
    reached = set(seen_by(allinone, service, sockets=sockets).get("connected", ()))
    mine = {path for path in sockets if path.startswith(tuple(f"{p}/" for p in own(service)))}
    # What is its own it does reach.
    assert {path for path in mine if "logger" in path or "postgresql" in path} <= reached
    if service == AGENT:
        assert reached >= {DOCKER, LINKS}
        reached = {path for path in reached - {DOCKER, LINKS} if "backendai" in path}
    assert reached <= mine


@pytest.fixture(scope="module")
def declared(allinone: SiteHost) -> dict[str, dict[str, Any]]:
    """What the BUILD file of each service says of it."""
    shown = allinone.host.sh(
        "cat /usr/share/backendai/components/*.json /usr/share/backendai/servers/*.json"
    )
    found, at, decoder = {}, 0, json.JSONDecoder()
    while at < len(shown):
        row, at = decoder.raw_decode(shown, at)
        at += len(shown[at:]) - len(shown[at:].lstrip())
        found[row["name"]] = row
    return found


def business(declared: dict[str, dict[str, Any]], service: str) -> set[int]:
    """Ports to which a service connects: its own, those it calls, of servers it logs in to, of figures."""
    me = declared[service]
    found = {port for port in me["ports"].values()}
    for called in me.get("calls", {}):
        name, _, what = called.partition(":")
        found.add(declared[name]["ports"][what])
    for name in me.get("uses", ()):
        found |= {port for what, port in declared[name].get("ports", {}).items() if what != "peers"}
    if service == "prometheus":
        for row in declared.values():
            found |= {
                n for what, n in row["ports"].items() if f"{{{what}}}" in row.get("metrics", "")
            }
    return found


@pytest.mark.parametrize("service", ALL)
def test_no_service_connects_to_a_port_that_is_not_its_business(
    allinone: SiteHost, declared: dict[str, dict[str, Any]], service: str
) -> None:
    listening = allinone.host.sh("ss -Hltn | awk '{print $4}'").split()
    listened = {int(address.rpartition(":")[2]) for address in listening}
    ports = {port for row in declared.values() for port in row["ports"].values()} & listened
    assert len(ports) > 15
    # The two that work on people's files have one account.
    names = VOLUMES if service in VOLUMES else (service,)
    allowed = {port for name in names for port in business(declared, name)}
    entered = set(seen_by(allinone, service, ports=sorted(ports)).get("entered", ()))
    assert entered == allowed & ports


def test_a_service_takes_its_folder_over_from_the_account_of_an_earlier_release(
    allinone: SiteHost,
) -> None:
    """All services ran as the site's account until 26.9.6-2."""
    host, state = allinone.host, own("webserver")[0]
    host.sh(f"systemctl stop backendai-webserver; mkdir -p {state}/of; touch {state}/of/before")
    host.sh(f"chown -R bai:bai {state}; systemctl start backendai-webserver", timeout=200)
    owners = set(host.sh(f"find {state} -printf '%U:%G ' | xargs -n1").split())
    name = "backendai-webserver"
    assert owners == {host.sh(f"echo $(id -u {name}):$(id -g {name})")}
    host.sh(f"rm -r {state}/of")


@pytest.mark.parametrize("service", ALL)
def test_every_service_sees_its_own_folders_alone(allinone: SiteHost, service: str) -> None:
    state, run = own(service)
    ours = ["/var/lib/backendai", "/run/backendai"]
    others = [path for name in ALL for path in own(name) if name != service]
    hidden = [*others, "/var/lib/backendai/ctl", "/var/backups/backendai"]
    rest = [
        "/var/lib/backendai/session-files",  # the agent reads them, and its sessions
        "/etc/backendai",
        "/etc/backendai/tls",
        "/run/credentials",
        "/vfroot",
        "/vfroot/volume1",
    ]
    seen = seen_by(allinone, service, folders=[state, run, *ours, *hidden, *rest])
    listed = seen["listed"]
    shared = ["session-files"] if service == AGENT else []
    assert [listed[path] for path in ours] == [[service, *shared], [service]]
    assert set(hidden).isdisjoint(listed)
    assert listed["/etc/backendai"] == ["tls"] and listed["/etc/backendai/tls"] == ["trust.crt"]
    assert listed["/run/credentials"] == [f"backendai-{service}.service"]
    volume = ["/vfroot/volume1"] if service in VOLUMES else []
    assert [path for path in listed if path.startswith("/vfroot/")] == volume
    assert set(seen["written"]) == {state, run, *volume}


def test_the_agent_obeys_the_manager_and_nobody_else(allinone: SiteHost) -> None:
    host = allinone.host
    call = [PYTHON, "-I", "-c", CALL]
    assert host.check(call, user="nobody", cwd="/tmp").stdout.strip() == "AuthenticationError"
    assert host.check([*call, "/etc/backendai/rpc"], cwd="/tmp").stdout.strip() == "well"


def test_a_leak_ends_a_service_and_not_the_host(allinone: SiteHost) -> None:
    """The limit is asked for: these hosts have no controller that could enforce it.

    Beside the container engine are what keeps each container, so a limit there would end sessions.
    """
    host = allinone.host
    units = set(host.sh("cd /usr/lib/systemd/system; ls backendai-*.service").split())
    units -= {"backendai-docker.service", "backendai-containerd.service"}
    limits = {u: host.sh(f"systemctl show {u} --property=MemoryMax --value") for u in units}
    assert len(limits) > len(ALL)
    assert {unit: limit for unit, limit in limits.items() if not limit.isdigit()} == {}
