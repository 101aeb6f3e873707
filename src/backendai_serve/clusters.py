"""Networks of sessions whose containers are on several nodes: a driver for the manager and for agents.

Upstream's own, `overlay`, wants Docker's Swarm on the host of the manager, which has no engine, and with
Swarm no engine leaves its containers running while it is restarted. This one needs nothing but the
kernel: the manager hands out addresses and numbers, by the list of containers alone, so there is nothing
to remember or to give back; an agent has `backendai_serve.links` give its container a device. For the rest
a container is as any other: it has Docker's bridge, and the rules of the firewall for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from backendai_serve.links import BRIDGE, NUMBERS, address_of
from backendai_serve.patches import exchanged, part

DRIVER = "vxlan"
IN_ITS_PLACE = "overlay"  # the driver of upstream that is not loaded
NETWORK = "198.18.0.0/16"  # of a session, where its settings name no other
SOCKET = "/run/backendai-links.sock"
_PATIENCE = 60  # seconds
MANAGER = "ai.backend.manager.plugin.network"
LAUNCHER = "ai.backend.manager.sokovan.scheduler.launcher.launcher"
AGENT = "ai.backend.agent.plugin.network"


def telling(text: str) -> str:
    """The source of what starts sessions, in which the driver is told of the containers."""
    call = "                        identifier=str(session.session_id)\n                    )\n"
    members = 'k.cluster_hostname or f"{k.cluster_role}{k.cluster_idx}", k.agent_addr'
    # In no order of the database's: main1 has the first address.
    ordered = "sorted(session.kernels, key=lambda k: (k.cluster_role, k.cluster_idx))"
    return exchanged(
        LAUNCHER,
        text,
        call,
        "                        identifier=str(session.session_id),\n"
        f"                        options={{'members': [({members}) for k in {ordered}]}},\n"
        "                    )\n",
    )


def members_of(
    session: str, given: Iterable[tuple[str, str | None]], network: str
) -> list[dict[str, Any]]:
    """Name, address, node and number of each container. ValueError if the network is too small.

    A number tells containers of one node apart, whatever sessions they are of. It is made of what names
    the container; where two have the same, the node refuses the later one.
    """
    within, found = ipaddress.IPv4Network(network), []
    for place, (name, agent) in enumerate(given):
        node = urlsplit(agent or "").hostname
        if not node:
            raise ValueError(f"{name}: no agent has this container of the session")
        digest = hashlib.sha256(f"{session} {name}".encode()).digest()
        number = NUMBERS.start + int.from_bytes(digest[:8]) % len(NUMBERS)
        address = address_of(within, place)
        found.append({"name": name, "address": str(address), "node": node, "vni": number})
    if len(found) > within.num_addresses - 2:
        raise ValueError(f"{network} has no room for {len(found)} containers")
    return found


def container(members: Iterable[Mapping[str, Any]], environ: Mapping[str, str]) -> dict[str, Any]:
    """What Docker is told of a container: the others' names, and which device frameworks shall use.

    They would take the first one, by which no container reaches another. Who set them keeps his word.
    """
    use = {
        "NCCL_SOCKET_IFNAME": BRIDGE,
        "GLOO_SOCKET_IFNAME": BRIDGE,
        "OMPI_MCA_btl_tcp_if_exclude": "lo,eth0",
    }
    return {
        "HostConfig": {"ExtraHosts": [f"{m['name']}:{m['address']}" for m in members]},
        "Env": [f"{name}={value}" for name, value in use.items() if name not in environ],
    }


def request(name: str, members: list[Mapping[str, Any]], network: str) -> dict[str, Any]:
    """What `links` is asked for, but for the network of the container."""
    names = [member["name"] for member in members]
    numbers = [(member["node"], member["vni"]) for member in members]
    return {"network": network, "own": names.index(name), "members": numbers}


async def ask(wanted: Mapping[str, Any], path: str = SOCKET) -> str:
    """The answer of `links` on this node, or why there is none."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(json.dumps(wanted).encode())
                writer.write_eof()
                said = await reader.read()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        return f"{path}: {error or 'no answer'}; run on this node: backendai-ctl reconfigure"
    return said.decode() or f"no answer; see: journalctl -u '{path.split('/')[-1][:-5]}@*'"


def of_manager(module: Any) -> None:
    """Give the manager this driver."""
    base, info = part(module, "AbstractNetworkManagerPlugin"), part(module, "NetworkInfo")

    class Driver(base):  # type: ignore[misc,valid-type]
        async def init(self, context: Any = None) -> None: ...

        async def cleanup(self) -> None: ...

        async def update_plugin_config(self, plugin_config: Mapping[str, Any]) -> None:
            self.plugin_config = plugin_config

        async def create_network(
            self, *, identifier: str | None = None, options: dict[str, Any] | None = None
        ) -> Any:
            if identifier is None or options is None:
                raise ValueError("no network is made here that outlives a session")
            network = self.plugin_config.get("network") or NETWORK
            members = members_of(identifier, options["members"], network)
            name = f"bai-multinode-{identifier}"
            told = {"mode": DRIVER, "network_name": name, "network": network, "members": members}
            return info(network_id=name, options=told)

        async def destroy_network(self, network_id: str) -> None: ...

    _load(module, Driver)


def of_agent(module: Any) -> None:
    """Give the agent this driver."""
    base = part(module, "AbstractNetworkAgentPlugin")
    capability = part(module, "ContainerNetworkCapability")

    class Driver(base):  # type: ignore[misc,valid-type]
        async def init(self, context: Any = None) -> None:
            self._wanted: dict[str, dict[str, Any]] = {}  # by the container's kernel

        async def cleanup(self) -> None: ...

        async def update_plugin_config(self, plugin_config: Mapping[str, Any]) -> None:
            self.plugin_config = plugin_config

        async def get_capabilities(self) -> set[Any]:
            return {capability.GLOBAL}  # it is called when the container runs

        async def join_network(
            self, kernel_config: Any, cluster_info: Any, *, network_name: str, **told: Any
        ) -> dict[str, Any]:
            members = told["members"]
            wanted = request(kernel_config["cluster_hostname"], members, told["network"])
            self._wanted[str(kernel_config["kernel_id"])] = wanted
            return container(members, kernel_config["environ"])

        async def expose_ports(
            self, kernel: Any, bind_host: str, ports: Any, **kwargs: Any
        ) -> None:
            """Give the running container its device. Its ports are Docker's: None."""
            wanted = self._wanted.pop(str(kernel.kernel_id))
            said = await ask({**wanted, "netns": await _netns(kernel.container_id)})
            if said != "ok":
                failure = import_module("ai.backend.agent.errors").ContainerCreationError
                raise failure(
                    container_id=kernel.container_id,
                    message=f"not joined to the other containers of its session: {said}",
                )

        async def leave_network(self, kernel: Any) -> None:
            self._wanted.pop(str(kernel.kernel_id), None)

    _load(module, Driver)


async def _netns(container_id: str) -> str:
    """Where the engine keeps the network of a container."""
    docker = import_module("aiodocker").Docker()
    try:
        shown = await docker.containers.container(container_id).show()
    finally:
        await docker.close()
    return str(shown["NetworkSettings"]["SandboxKey"])


def _load(module: Any, driver: type[Any]) -> None:
    """Have upstream find this driver where it looks for those of packages."""
    context = part(module, "NetworkPluginContext")
    found: Callable[..., Iterator[tuple[str, type[Any]]]] = part(context, "discover_plugins")

    def discover(*words: Any, **given: Any) -> Iterator[tuple[str, type[Any]]]:
        yield from (row for row in found(*words, **given) if row[0] != IN_ITS_PLACE)
        yield DRIVER, driver

    context.discover_plugins = staticmethod(discover)


SOURCES = {LAUNCHER: telling}
EXECUTED = {MANAGER: of_manager, AGENT: of_agent}
