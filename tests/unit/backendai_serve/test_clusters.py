"""The driver of sessions on several nodes, in the manager's and the agent's own code as the lock has it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from upstream import Upstream

from backendai_serve import clusters

AGENTS = [("main1", "tcp://10.0.0.1:6001"), ("sub1", "tcp://[fd00::2]:6001")]
MANAGER = """
import asyncio, json
from ai.backend.manager.plugin.network import NetworkPluginContext
found = dict(NetworkPluginContext.discover_plugins("backendai_network_manager_v1"))
driver = found["vxlan"]({"network": "192.0.2.0/24"}, {})
given = {"members": [("main1", "tcp://10.0.0.1:6001"), ("sub1", "tcp://10.0.0.2:6001")]}

async def main():
    made = await driver.create_network(identifier="s", options=given)
    again = await driver.create_network(identifier="s", options=given)
    await driver.destroy_network(made.network_id)
    try:
        await driver.create_network()
    except ValueError as error:
        print(json.dumps([sorted(found), made.network_id, made.options, made == again, str(error)]))

asyncio.run(main())
"""
AGENT = """
import asyncio, json
from types import SimpleNamespace
from ai.backend.agent.errors import ContainerCreationError
from ai.backend.agent.plugin.network import ContainerNetworkCapability, NetworkPluginContext
from backendai_serve import clusters
found = dict(NetworkPluginContext.discover_plugins("backendai_network_agent_v1"))
driver = found["vxlan"]({}, {})
members = [{"name": "main1", "address": "198.18.0.1", "node": "10.0.0.1", "vni": 5}]
told = {"mode": "vxlan", "network_name": "n", "network": "198.18.0.0/16", "members": members}
config = {"cluster_hostname": "main1", "kernel_id": "k", "environ": {"NCCL_SOCKET_IFNAME": "ib0"}}
kernel = SimpleNamespace(kernel_id="k", container_id="c")
asked = []

async def netns(container):
    return f"of {container}"

async def ask(wanted, path=""):
    asked.append(wanted)
    return "ok" if len(asked) == 1 else "no such kernel"

async def main():
    clusters._netns, clusters.ask = netns, ask
    await driver.init()
    able = await driver.get_capabilities() == {ContainerNetworkCapability.GLOBAL}
    container = await driver.join_network(config, {}, **told)
    plain = await driver.expose_ports(kernel, "0.0.0.0", [])
    await driver.join_network(config, {}, **told)
    try:
        await driver.expose_ports(kernel, "0.0.0.0", [])
    except ContainerCreationError as error:
        said = [error.container_id, error.message]
    await driver.leave_network(kernel)
    print(json.dumps([sorted(found), able, container, plain, asked, said]))

asyncio.run(main())
"""


def test_members_are_numbered_by_their_place() -> None:
    main, sub = clusters.members_of("s", AGENTS, "198.18.0.0/16")
    assert (main["address"], main["node"]) == ("198.18.0.1", "10.0.0.1")
    assert (sub["address"], sub["node"]) == ("198.18.0.2", "fd00::2")
    assert main["vni"] != sub["vni"] and {main["vni"], sub["vni"]} < set(range(1, 1 << 24))
    assert clusters.members_of("s", AGENTS, "198.18.0.0/16") == [main, sub], "nothing to remember"
    other = clusters.members_of("t", AGENTS, "198.18.0.0/16")
    assert other[0]["vni"] != main["vni"]


def test_what_has_no_place_is_refused() -> None:
    with pytest.raises(ValueError, match="sub1: no agent has this container"):
        clusters.members_of("s", [*AGENTS[:1], ("sub1", None)], "198.18.0.0/16")
    with pytest.raises(ValueError, match=r"198\.18\.0\.0/30 has no room for 3 containers"):
        clusters.members_of("s", [*AGENTS, ("sub2", AGENTS[0][1])], "198.18.0.0/30")


def test_the_manager_has_this_driver_and_not_the_one_of_swarm(upstream: Upstream) -> None:
    found, name, told, same, refused = json.loads(upstream.run(MANAGER).splitlines()[-1])
    assert found == ["vxlan"] and name == told["network_name"] == "bai-multinode-s" and same
    assert told["mode"] == "vxlan" and told["network"] == "192.0.2.0/24"
    members = [(m["name"], m["address"], m["node"]) for m in told["members"]]
    assert members == [("main1", "192.0.2.1", "10.0.0.1"), ("sub1", "192.0.2.2", "10.0.0.2")]
    assert "outlives a session" in refused


def test_the_manager_tells_it_of_the_containers(upstream: Upstream) -> None:
    text = (upstream.folder / (clusters.LAUNCHER.replace(".", "/") + ".py")).read_text()
    told = re.search(r"options=(\{'members': .*\}),\n", clusters.telling(text))
    assert told
    kernels = [
        SimpleNamespace(cluster_role=role, cluster_idx=index, cluster_hostname=None, agent_addr="a")
        for role, index in (("sub", 10), ("sub", 2), ("main", 1))
    ]
    found = eval(told[1], {"session": SimpleNamespace(kernels=kernels)})
    assert found == {"members": [("main1", "a"), ("sub2", "a"), ("sub10", "a")]}, "main1 is first"


def test_an_agent_joins_a_container_once_it_runs(upstream: Upstream) -> None:
    found, able, told, plain, asked, said = json.loads(upstream.run(AGENT).splitlines()[-1])
    assert found == ["host", "vxlan"] and able
    assert told["HostConfig"] == {"ExtraHosts": ["main1:198.18.0.1"]}
    assert "GLOO_SOCKET_IFNAME=baimulti0" in told["Env"]
    assert not [one for one in told["Env"] if one.startswith("NCCL")], "the user's word holds"
    assert plain is None, "its ports are Docker's"
    request = {"network": "198.18.0.0/16", "own": 0, "members": [["10.0.0.1", 5]], "netns": "of c"}
    assert asked == [request, request]
    assert said == ["c", "not joined to the other containers of its session: no such kernel"]


def test_who_does_not_answer_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "links.sock")
    said = asyncio.run(clusters.ask({}, path))
    assert path in said and "backendai-ctl reconfigure" in said


def test_the_answer_is_passed_on(tmp_path: Path) -> None:
    path, heard = str(tmp_path / "links.sock"), list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.write(b"ok")
        writer.close()

    async def main() -> str:
        async with await asyncio.start_unix_server(answer, path):
            return await clusters.ask({"own": 1}, path)

    assert asyncio.run(main()) == "ok"
    assert heard == [b'{"own": 1}']
