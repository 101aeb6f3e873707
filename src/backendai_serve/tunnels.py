"""Has TCP circuits of the app proxy end when they should, and lead only those to an app whom it can tell.

Upstream never ends one: what the client or the app closed stays open at the other end, so a session that
somebody left counts as used; a circuit stays after its session, until all ports of the worker are taken;
and a stopped worker leaves its ports taken for a minute. Upstream asks nobody for a login there, either:
sshd does, and any other app is led to by the address alone that opened it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from types import ModuleType
from typing import Any

from backendai_serve.circuits import end_with_sessions
from backendai_serve.inquiries import guard
from backendai_serve.patches import exchanged, part

BACKEND = "ai.backend.appproxy.worker.proxy.backend.tcp"
FRONTEND = "ai.backend.appproxy.worker.proxy.frontend.tcp"
SERVER = "ai.backend.appproxy.coordinator.server"
WAYS = "ai.backend.appproxy.coordinator.api.proxy"
PROTOCOLS = {"tcp", "vnc", "rdp"}
KEYED = {"sshd"}  # apps that ask for a login themselves
USERS = 4  # who, if all took as many ports of a worker as one user may, would have them all
log = logging.getLogger(__name__)


def ending_together(text: str) -> str:
    """Each end of a connection is told when the other one ends, and both are closed."""
    text = exchanged(
        BACKEND,
        text,
        "import asyncio\nimport logging",
        "import asyncio\nimport contextlib\nimport logging",
    )
    text = exchanged(
        BACKEND,
        text,
        "                stop_event.set()\n",
        "                with contextlib.suppress(OSError, RuntimeError):  # it is gone\n"
        "                    writer.write_eof()\n",
    )
    text = exchanged(
        BACKEND,
        text,
        "            async with asyncio.TaskGroup() as group:\n",
        "            async with contextlib.AsyncExitStack() as ends, asyncio.TaskGroup() as group:\n"
        "                ends.callback(up_writer.close)\n",
    )
    return exchanged(
        BACKEND,
        text,
        "family=socket.AF_INET,",
        'family=socket.AF_INET6 if ":" in route.current_kernel_host else socket.AF_INET,',
    )


def end_with_the_circuit(module: ModuleType) -> None:
    """Connections end with the circuit that they came by; ends that are gone are no errors."""
    from ai.backend.appproxy.common.errors import (  # type: ignore[import-not-found]
        WorkerNotAvailable,
    )

    backend = part(module, "TCPBackend")
    bind, close = part(backend, "bind"), part(backend, "close")

    @functools.wraps(bind)
    async def noted(self: Any, *ends: Any) -> None:
        tunnels = self.__dict__.setdefault("tunnels", set())
        task = asyncio.current_task()
        tunnels.add(task)
        try:
            await bind(self, *ends)
        except (OSError, WorkerNotAvailable) as ended:
            log.info("circuit %s: %s", self.circuit.id, ended)
        finally:
            tunnels.discard(task)
            ends[-1].close()

    @functools.wraps(close)
    async def with_tunnels(self: Any) -> None:
        tunnels = list(self.__dict__.get("tunnels", ()))
        for task in tunnels:
            task.cancel()
        await asyncio.gather(*tunnels, return_exceptions=True)
        await close(self)

    backend.bind, backend.close = noted, with_tunnels


def keep_one_backend(module: ModuleType) -> None:
    """A circuit that is announced again, at each click, stays what it is; another one ends the old one."""
    frontend = part(module, "TCPFrontend")
    register = part(frontend, "register_circuit")

    @functools.wraps(register)
    async def once(self: Any, circuit: Any, routes: Any) -> None:
        known = self.backends.get(self.get_circuit_key(circuit))
        if known and known.circuit.id == circuit.id:
            await known.update_routes(routes)
            return
        if known:
            await self.terminate_backend(known)
        await register(self, circuit, routes)

    frontend.register_circuit = once


def listening_again(text: str) -> str:
    """A worker takes its ports at once after another one, IPv6 too, and stops without an error."""
    text = exchanged(
        FRONTEND,
        text,
        "            sock = socket.socket(family=socket.AF_INET, type=socket.SOCK_STREAM)\n",
        '            family = socket.AF_INET6 if ":" in service_host else socket.AF_INET\n'
        "            sock = socket.create_server((service_host, port), family=family)\n",
    )
    text = exchanged(FRONTEND, text, "            sock.bind((service_host, port))\n", "")
    return exchanged(
        FRONTEND,
        text,
        "            task.cancel()\n            await task\n",
        "            task.cancel()\n"
        "        await asyncio.gather(*self.server_tasks, return_exceptions=True)\n",
    )


def collected(text: str) -> str:
    """A circuit that nobody used for an hour is given up, whatever its protocol."""
    return exchanged(
        SERVER,
        text,
        "if c.app_mode != AppMode.INFERENCE and c.protocol == ProxyProtocol.HTTP\n",
        "if c.app_mode != AppMode.INFERENCE\n",
    )


def for_who_asks(params: Any, address: str | None) -> None:
    """Have an app without a login led to from this address alone, unless the request says from where."""
    said = params.open_to_public or params.allowed_client_ips
    if params.protocol.value.lower() in PROTOCOLS and params.app not in KEYED and not said:
        if address is None:
            raise ValueError("an app without a login is opened by nobody's address")
        params.allowed_client_ips = address


def within_share(circuit: Any, worker: Any) -> None:
    """Refuse a new circuit to who has a fair part of the worker's ports; names, of a domain, are no ports."""
    mine = [one for one in worker.circuits if one.user_id == circuit.user_id and one is not circuit]
    share = max(worker.available_slots // USERS, 1)
    if worker.available_slots >= 0 and len(mine) >= share:
        from ai.backend.appproxy.common.errors import GenericForbidden

        raise GenericForbidden(
            f"You have {len(mine)} apps open, and no more than {share} ports are for one user. End a "
            "session, or wait: a port is given up an hour after its last use."
        )


def confined(text: str) -> str:
    text = exchanged(
        WAYS,
        text,
        "    if not params.no_reuse:\n",
        f"    from {__name__} import for_who_asks, within_share\n\n"
        "    for_who_asks(params, request.remote)\n"
        "    if not params.no_reuse:\n",
    )
    added = "                preferred_subdomain=params.subdomain,\n            )\n"
    return exchanged(WAYS, text, added, added + "            within_share(circuit, worker)\n")


def change_server(module: ModuleType) -> None:
    """The coordinator's: what it tells of itself is not for everybody, and circuits end with sessions."""
    guard(["status"])(module)
    end_with_sessions(module)


SOURCES = {
    BACKEND: ending_together,
    FRONTEND: listening_again,
    SERVER: collected,
    WAYS: confined,
}
EXECUTED = {
    BACKEND: end_with_the_circuit,
    FRONTEND: keep_one_backend,
    SERVER: change_server,
}
