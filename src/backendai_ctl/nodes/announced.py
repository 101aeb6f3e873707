"""What each node says of itself to the others: by which site file it was set up, by which release.

It is kept in the site's Valkey, which every node uses, and written at the end of `reconfigure`.
Nothing depends on it: a Valkey that is away, or forgot, keeps no node from its work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.firewall import ruleset
from backendai_ctl.platform import files, resp
from backendai_ctl.probes import servers
from backendai_ctl.topology import layout

TIMEOUT = 3.0  # seconds
AGAIN = (
    "run on {origin}: backendai-ctl node export {node}; "
    "then on {node}: backendai-ctl node join {node}.node"
)


@dataclass(frozen=True)
class Told:
    """`site`: SHA-256 of the site file. `version`: of the packages.

    `firewall`: whether rules of nodes were loaded there; None: it did not say.
    """

    site: str
    version: str
    firewall: bool | None = None


def mine(ctx: Context) -> Told:
    """What this node has to say."""
    text = files.read(ctx.paths.site_file) or ""
    made = hashlib.sha256(text.encode()).hexdigest()
    return Told(made, ctx.facts.full_version, ruleset.asked_for(ctx))


def tell(ctx: Context) -> bool:
    """Say it, if it is not said; whether it is known to the others now."""
    if not ctx.node:
        return False
    wanted = mine(ctx)
    try:
        with _connect(ctx) as server:
            if _parse(server.call("HGET", key(ctx), ctx.node)) != wanted:
                server.call("HSET", key(ctx), ctx.node, json.dumps(asdict(wanted)))
    except (Problem, *servers.FAILURES):
        return False
    return True


def told(ctx: Context) -> dict[str, Told]:
    """What the nodes said, by name. Raises servers.FAILURES."""
    with _connect(ctx) as server:
        rows = server.call("HGETALL", key(ctx))
    words = rows if isinstance(rows, list) else []
    pairs = zip(words[::2], words[1::2], strict=True)
    return {str(node): found for node, text in pairs if (found := _parse(text))}


def clock(ctx: Context) -> float:
    """The time that Valkey's host has, in seconds. Raises servers.FAILURES."""
    with _connect(ctx) as server:
        now: Any = server.call("TIME")
    return int(now[0]) + int(now[1]) / 1e6


def faults(ctx: Context, node: str, said: Mapping[str, Told]) -> list[str]:
    """What is wrong with a node by what was said; none: it is what the site file describes."""
    origin = layout.origin(ctx.site, ctx.facts)
    found = said.get(node)
    if found is None:
        return ["has not joined"]
    wanted = mine(ctx) if ctx.node == origin else said.get(origin, found)
    wrong = []
    if found.site != wanted.site:
        wrong.append(f"its site file is not the one of {origin}")
    if found.version != wanted.version:
        wrong.append(f"has release {found.version}, {origin} has {wanted.version}")
    return wrong


def key(ctx: Context) -> str:
    return f"backendai-packaged:{ctx.site.etcd.namespace}:nodes"


def _connect(ctx: Context) -> resp.Connection:
    return servers.log_in(ctx, *servers.master(ctx, TIMEOUT), TIMEOUT)


def _parse(text: object) -> Told | None:
    try:
        row = json.loads(str(text))
        return Told(str(row["site"]), str(row["version"]), row.get("firewall"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
