"""Images of sessions: taken away, swept, and brought to nodes ahead of the first session."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.database import registry as rows_of
from backendai_ctl.database.connection import Connection, connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.images import engine, pushing, removing
from backendai_ctl.nodes import agents
from backendai_ctl.operations.reconfigure import exclusive
from backendai_ctl.topology import registry

_PULL_TIMEOUT = 7200.0  # seconds, as agents have it


def remove(ctx: Context, names: Collection[str], *, dry_run: bool) -> None:
    """Take images, by REPOSITORY:TAG, out of the registry of this host, and have the manager forget them.

    BadRequest for one that is not there, Problem for one that a session has: then none is removed. The
    manager forgets what is in the registry that all pull from; others are filled alike.
    """
    there = {one.name for one in pushing.stored(ctx)}
    if missing := sorted(set(names) - there):
        raise BadRequest(
            f"not in the registry of this host: {', '.join(missing)}",
            hint="see: backendai-ctl image list",
        )
    if dry_run:
        with connect(of_manager(ctx)) as db:
            _refuse_used(ctx, db, names)
        return
    with exclusive(ctx), locked(of_manager(ctx)) as db:
        _refuse_used(ctx, db, names)
        if registry.first(ctx):
            _forget(ctx, db, names)
        for name in sorted(names):
            removing.remove(ctx, name)


def _forget(ctx: Context, db: Connection, names: Collection[str]) -> None:
    """From then on no session can be asked for that has them; one asked for meanwhile keeps them."""
    host, known = registry.host(ctx), rows_of.known(db, registry.host(ctx))
    alive = [name for name in names if known.get(name, ("", False))[1]]
    rows_of.forget(db, host, alive)
    try:
        _refuse_used(ctx, db, names)
    except Problem:
        rows_of.forget(db, host, alive, really=False)
        raise


def _refuse_used(ctx: Context, db: Connection, names: Collection[str]) -> None:
    at = f"{registry.host(ctx)}/"
    if used := rows_of.sessions(db, [at + name for name in names]):
        rows = (f"{name.removeprefix(at)} ({count})" for name, count in sorted(used.items()))
        raise Problem(
            f"sessions that did not end have it: {', '.join(rows)}",
            hint="end them in the web UI (Sessions), or wait until they have ended",
        )


@dataclass(frozen=True)
class Pruned:
    """What went, or would go: `images` of this host's engine by a name each, `kept` by one that has a
    container by now; blobs of this host's registry. `freed`: bytes of the registry."""

    images: list[str]
    kept: list[str]
    blobs: int
    freed: int


def prune_nodes(ctx: Context, nodes: Sequence[str]) -> Pruned:
    """Have the engines of nodes remove images that are in the site's registry no more.

    BadRequest away from the registry that all pull from, and for a node without an agent.
    """
    if not (registry.first(ctx) and ctx.here("manager")):
        raise BadRequest(
            "the registry that all nodes pull from is not on this host",
            hint="run it on the first management node, or without --node on each node",
        )
    there = {one.name for one in pushing.stored(ctx)}
    with connect(of_manager(ctx)) as db:
        known = rows_of.known(db, registry.host(ctx))
        at = f"{registry.host(ctx)}/"
        names = [at + name for name, (_, used) in known.items() if not used and name not in there]
        names = sorted(set(names).difference(rows_of.sessions(db, names)))
        chosen = _agents(ctx, agents.alive(db), nodes)
    gone: list[str] = []
    for node, agent in chosen.items():
        ctx.say(f"Prune on {node}: {', '.join(names) or 'nothing'}")
        gone += [f"{name} on {node}" for name in (agents.purge(ctx, agent, names) if names else ())]
    return Pruned(gone, [], 0, 0)


def prune(ctx: Context, *, dry_run: bool) -> Pruned:
    """Remove what no name of the site's registry leads to: from it, and from the engine of this host.

    BadRequest where this host has neither.
    """
    filled = registry.here(ctx)
    if not filled and not ctx.here("agent"):
        raise BadRequest(
            "this host has neither the registry nor sessions",
            hint="run it on management nodes and on nodes with an agent",
        )
    with exclusive(ctx):
        swept = removing.sweep(ctx, dry_run=dry_run) if filled else removing.Swept(0, 0)
        found = engine.superseded(ctx, _held(ctx)) if _has_images(ctx) else []
        kept = [one.names[0] for one in found if not dry_run and not engine.remove(ctx, one)]
    gone = [one.names[0] for one in found if one.names[0] not in kept]
    return Pruned(gone, kept, swept.blobs, swept.size)


def _has_images(ctx: Context) -> bool:
    return ctx.here("agent") and bool(registry.nodes(ctx) if ctx.node else registry.here(ctx))


def _held(ctx: Context) -> dict[str, str] | None:
    """What is in the registry that all pull from; None where that is elsewhere."""
    if not registry.first(ctx):
        return None
    return {one.name: one.digest for one in pushing.stored(ctx)}


@dataclass(frozen=True)
class Pulled:
    """How it went with an image on a node; `why`: what went wrong, or nothing."""

    node: str
    image: str
    why: str


def pull(ctx: Context, nodes: Sequence[str], names: Sequence[str]) -> Iterator[Pulled]:
    """Have the agents of nodes, or of this host, fetch images that they lack; each result as it comes.

    names: as the manager knows them, the site's own without its registry; none: all that it knows.
    BadRequest for a node or an image that there is not.
    """
    if not ctx.here("manager"):
        raise BadRequest(
            "there is no manager on this host, and agents obey it alone",
            hint=f"run on a management node: backendai-ctl image pull --node {ctx.node}",
        )
    with connect(of_manager(ctx)) as db:
        images = _chosen(ctx, rows_of.pullable(db), names)
        alive = agents.alive(db)
    chosen = _agents(ctx, alive, nodes)
    if not images:
        return
    tasks: dict[str, str] = {}
    for node, agent in chosen.items():
        ctx.say(f"Pull on {node}: {', '.join(images)}")
        told = agents.pull(ctx, agent, images)
        tasks |= {f"{node} {image}": task for image, task in told.items()}
    for what, why in agents.finished(ctx, tasks, _PULL_TIMEOUT):
        node, _, image = what.rpartition(" ")
        yield Pulled(node, image, why)


def _chosen(
    ctx: Context, known: dict[str, dict[str, object]], names: Sequence[str]
) -> dict[str, dict[str, object]]:
    if not names:
        return known
    at = f"{registry.host(ctx)}/" if registry.usable(ctx) else ""
    full = {name: name if name in known else f"{at}{name}" for name in names}
    if missing := [name for name, whole in full.items() if whole not in known]:
        raise BadRequest(
            f"the manager knows no image {', '.join(missing)}",
            hint="see: backendai-ctl image list; one in another registry by its whole name",
        )
    return {whole: known[whole] for whole in full.values()}


def _agents(
    ctx: Context, alive: Sequence[agents.Agent], nodes: Sequence[str]
) -> dict[str, agents.Agent]:
    """Agents by their node; that of this host where none is named."""
    if not ctx.node:
        if nodes:
            raise BadRequest("this site is a single host", hint="omit --node")
        found = dict(zip(["this host"], alive, strict=False))
    else:
        known = {
            name: agent
            for name, node in ctx.site.nodes.items()
            for agent in alive
            if node.address == agent.host or agent.name == f"i-{name}"  # the address may be a name
        }
        wanted = list(dict.fromkeys(nodes or [ctx.node]))
        if missing := [name for name in wanted if name not in known]:
            raise BadRequest(
                f"no agent is alive on {', '.join(missing)}",
                hint=f"nodes with one: {', '.join(known) or 'none'}; see: backendai-ctl status there",
            )
        found = {name: known[name] for name in wanted}
    if not found:
        raise BadRequest("no agent is alive", hint="see: backendai-ctl status")
    return found
