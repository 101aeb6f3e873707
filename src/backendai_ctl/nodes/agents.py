"""What a management node tells agents by the manager's own way: Backend.AI's RPC, with the manager's key.

An agent obeys its manager alone. What it is told to do takes its time; how that ended it leaves in the
site's cache, where the manager looks, too.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zmq.auth.certs import load_certificate

from backendai_ctl.context import Context
from backendai_ctl.database.connection import Connection
from backendai_ctl.errors import Problem
from backendai_ctl.platform import resp
from backendai_ctl.platform.run import run
from backendai_ctl.platform.text import one_line
from backendai_ctl.probes import servers
from backendai_ctl.site.values import split_host_port

_STREAMS = "4"  # Backend.AI's number of the database in which it keeps events (common.defs)
_CALL_TIMEOUT = 60  # seconds for an agent to take an order
_LOOK = 1.0  # seconds between two looks
_MESSAGE = 500  # characters
# Runs with Backend.AI's own Python: the order comes by standard input, for there are passwords in it.
_CALL = """\
import asyncio, json, sys, zmq
from callosum.lower.zeromq import ZeroMQAddress, ZeroMQRPCTransport
from ai.backend.common import msgpack
from ai.backend.common.auth import ManagerAuthHandler
from ai.backend.common.clients.agent.client import AgentClient
from ai.backend.common.clients.agent.peer import PeerInvoker

async def main(order):
    keys = order["keys"] and [key.encode() for key in order["keys"]]
    peer = PeerInvoker(
        connect=ZeroMQAddress(order["address"]),
        transport=ZeroMQRPCTransport,
        authenticator=ManagerAuthHandler("local", *keys) if keys else None,
        transport_opts={"zsock_opts": {zmq.LINGER: 0}},
        serializer=msgpack.packb,
        deserializer=msgpack.unpackb,
    )
    client = AgentClient(peer, order["agent"])
    await client.connect()
    try:
        async with asyncio.timeout(order["timeout"]):
            return await getattr(client, order["what"])(*order["words"])
    finally:
        await client.close()

print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
"""


@dataclass(frozen=True)
class Agent:
    """An agent that is alive, as the manager knows it; `public_key`: empty if it has none."""

    name: str
    address: str
    public_key: str

    @property
    def host(self) -> str:
        return split_host_port(self.address.removeprefix("tcp://"))[0]


def alive(db: Connection) -> list[Agent]:
    """One of each host: those of one host have one container engine."""
    rows = db.rows(
        "SELECT id, addr, public_key FROM agents WHERE status::text = 'ALIVE' ORDER BY id DESC"
    )
    found = [Agent(row["id"], row["addr"], row["public_key"] or "") for row in rows]
    return sorted({agent.host: agent for agent in found}.values(), key=lambda one: one.name)


def pull(ctx: Context, agent: Agent, images: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Have it fetch images that it lacks; {name: what identifies the work}. Problem if it takes no orders."""
    told = _call(ctx, agent, "check_and_pull", images)
    if not isinstance(told, dict):
        raise Problem(f"{agent.name}: unexpected answer", hint=_hint(agent))
    return {str(name): str(uuid.UUID(str(task))) for name, task in told.items()}


def purge(ctx: Context, agent: Agent, images: Sequence[str]) -> list[str]:
    """Have its engine remove images, by name and never by force; those that it had and no container has."""
    told = _call(ctx, agent, "purge_images", images, False, False)
    try:
        rows = told["responses"]  # type: ignore[index]
        return [str(row["image"]) for row in rows if not row["error"]]
    except (KeyError, TypeError) as error:
        raise Problem(f"{agent.name}: unexpected answer", hint=_hint(agent)) from error


def finished(ctx: Context, tasks: Mapping[str, str], timeout: float) -> Iterator[tuple[str, str]]:
    """Name of each work when it ends, and what went wrong, or nothing. Problem after `timeout` seconds."""
    left, until = dict(tasks), time.monotonic() + timeout
    try:
        with servers.log_in(ctx, *servers.master(ctx, 5), timeout=10) as cache:
            cache.call("SELECT", _STREAMS)
            while left:
                for name, task in list(left.items()):
                    if (why := _ended(cache.call("GET", f"bgtask.{task}"))) is not None:
                        del left[name]
                        yield name, why
                if left and time.monotonic() > until:
                    raise Problem(
                        f"not done after {timeout:.0f} s: {', '.join(sorted(left))}",
                        hint="the agent goes on with it; see: backendai-ctl logs agent",
                    )
                time.sleep(_LOOK if left else 0)
    except (*servers.FAILURES, resp.Refused) as error:
        raise Problem(
            f"the progress cannot be read from the site's cache: {servers.reason(error)}",
            hint="see: backendai-ctl status",
        ) from error


def _ended(event: object) -> str | None:
    """What went wrong by the last event of a work, or nothing; None while it goes on, or is not there yet."""
    try:
        told = json.loads(str(event)) if event else {}
        name, body = told.get("name", ""), json.loads(told.get("payload") or "{}")
        message = one_line(str(body.get("message") or name), _MESSAGE)  # it may be a registry's
    except (ValueError, AttributeError):
        return None
    if name in ("", "bgtask_updated"):
        return None
    return "" if name == "bgtask_done" else message


def _call(ctx: Context, agent: Agent, what: str, *words: object) -> object:
    keys = [agent.public_key, *_manager(ctx)] if agent.public_key else None
    order = {"agent": agent.name, "address": agent.address, "keys": keys, "what": what}
    text = json.dumps({**order, "words": words, "timeout": _CALL_TIMEOUT})
    python = [str(ctx.paths.python), "-I", "-c", _CALL]
    done = run(python, user=ctx.user, stdin=text, timeout=_CALL_TIMEOUT + 60)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()  # the last line of a traceback has no secret in it
        raise Problem(
            f"{agent.name} takes no orders: {said[-1][:300] if said else 'it gave no answer'}",
            hint=_hint(agent),
        )
    found: object = json.loads(lines[-1])
    return found


def _manager(ctx: Context) -> list[str]:
    """Public and secret half of the manager's key."""
    path = ctx.paths.config / "rpc/manager.key_secret"
    try:
        public, secret = load_certificate(str(path))
    except (OSError, ValueError) as error:
        raise Problem(f"{path}: {error}", hint="run: backendai-ctl reconfigure") from error
    return [public.decode(), (secret or b"").decode()]


def _hint(agent: Agent) -> str:
    return f"see there ({agent.host}): backendai-ctl logs agent"
