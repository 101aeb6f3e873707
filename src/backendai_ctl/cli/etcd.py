"""backendai-ctl etcd: the settings that services read from etcd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from backendai_ctl import servers
from backendai_ctl.cli.output import (
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    mark,
    need_root,
    table,
)
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_FAILED, Problem
from backendai_ctl.etcd import access, export, seed, space, users
from backendai_ctl.etcd.client import Client
from backendai_ctl.reconfigure import exclusive

Pairs = Mapping[str, tuple[str | None, str | None]]
_RESTART = "Services read it when they start: backendai-ctl reconfigure restarts those concerned."


@click.group(**example("backendai-ctl etcd diff"))
def command() -> None:
    """Settings kept in etcd: state, comparison, seeding, undo, room."""


@command.command(**example("backendai-ctl etcd status"))
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show the members of etcd, whether a login is wanted, and whether it is seeded.

    Exit status 1: a member does not answer, or etcd is not as this site needs it.
    """
    need_root()
    known = context(ctx)
    client = access.connect(known)
    rows = [_member(known, client, endpoint) for endpoint in known.site.etcd.endpoints]
    data = {"members": rows, **_state(known, client)}

    def text(console: Console) -> None:
        shown = table("ENDPOINT", "HEALTH", "VERSION", "LEADER", "SIZE")
        for row in rows:
            word = mark(row["health"], row["health"] == "healthy")
            size = f"{row['size'] / 1e6:.1f} MB" if row["size"] else "-"
            shown.add_row(row["endpoint"], word, row["version"], row["leader"], size)
        console.print(shown)
        console.print()
        newest = data["copies"][-1] if data["copies"] else "none yet"
        for key, how in {**data, "last copy": newest}.items():
            if isinstance(how, str):
                console.print(f"{key + ':':<11}{how}")
        for key, how in data["kept"].items():
            console.print(f"{'yours:':<11}{key}: {how}")

    emit(data, as_json=as_json, text=text)
    if data["login"] == "not wanted" and known.site.etcd.user:
        ctx.exit(EXIT_FAILED)
    if data["base"] == "none" or any(row["health"] != "healthy" for row in rows):
        ctx.exit(EXIT_FAILED)


@command.command(**example("backendai-ctl etcd diff"))
@json_option
@click.pass_context
def diff(ctx: click.Context, as_json: bool) -> None:
    """Show the keys that you changed, and what seeding would change. Secrets are not shown."""
    need_root()
    known = context(ctx)
    planned = seed.plan(known, access.connect(known))
    _report(planned.merge.changes, planned.merge.kept, as_json=as_json, done=False)


@command.command(
    "seed",
    **example(
        "backendai-ctl etcd seed --dry-run\n"
        "backendai-ctl etcd seed --take volumes/exposed_volume_info"
    ),
)
@click.option(
    "--take", multiple=True, metavar="KEY", help="Give up your edit of KEY; may be repeated."
)
@json_option
@dry_run_option
@click.pass_context
def seed_command(ctx: click.Context, take: tuple[str, ...], as_json: bool, dry_run: bool) -> None:
    """Write what the site file and this release say; keys that you changed or deleted stay so."""
    need_root()
    known = context(ctx)
    if dry_run:
        planned = seed.plan(known, access.connect(known), take)
    else:
        with exclusive(known):
            planned = seed.seed(known, take)
    _report(planned.merge.changes, planned.merge.kept, as_json=as_json, done=not dry_run)


@command.command(**example("backendai-ctl etcd undo --dry-run\nbackendai-ctl etcd undo"))
@json_option
@dry_run_option
@click.pass_context
def undo(ctx: click.Context, as_json: bool, dry_run: bool) -> None:
    """Restore the values from before the last seeding; they count as yours from then on.

    Keys that you changed since stay. After the very first seeding its keys are removed, and the
    next run writes them again.
    """
    need_root()
    known = context(ctx)
    if dry_run:
        planned = seed.plan_undo(known, access.connect(known))
    else:
        with exclusive(known):
            planned = seed.undo(known)
    _report(planned.changes, planned.kept, as_json=as_json, done=not dry_run)


@command.command(**example("backendai-ctl etcd defragment"))
@json_option
@click.pass_context
def defragment(ctx: click.Context, as_json: bool) -> None:
    """Compact the site's own etcd, give free space back to its disk, and clear the alarm NOSPACE.

    At its size limit etcd takes no more writes until this was done. It answers nobody while it works,
    some seconds a GB. Old revisions of keys go; nothing of ours reads them.
    """
    need_root()
    known = context(ctx)
    with exclusive(known):
        done = space.defragment(known)
    rows = [asdict(row) for row in done]

    def text(console: Console) -> None:
        for row in done:
            sizes = f"{row.before / 1e6:.1f} MB -> {row.after / 1e6:.1f} MB"
            console.print(f"{row.endpoint}: {sizes}")

    emit({"members": rows}, as_json=as_json, text=text)


def _report(changes: Pairs, kept: Pairs, *, as_json: bool, done: bool) -> None:
    """`kept`: key -> (yours, what it would be otherwise)."""
    changed = {key: seed.difference(key, *pair) for key, pair in changes.items()}
    yours = {key: seed.difference(key, other, mine) for key, (mine, other) in kept.items()}

    def text(console: Console) -> None:
        for key, how in changed.items():
            console.print(f"{'changed' if done else 'to change':<10}{key}: {how}")
        for key, how in yours.items():
            console.print(f"{'yours':<10}{key}: {how}")
        if not changed:
            console.print("Nothing to change.")
        elif done:
            console.print(_RESTART)

    emit({"changed" if done else "to_change": changed, "kept": yours}, as_json=as_json, text=text)


def _member(ctx: Context, client: Client, endpoint: str) -> dict[str, Any]:
    row: dict[str, Any] = {"endpoint": endpoint, "version": "-", "leader": "-", "size": 0}
    try:
        servers.etcd(endpoint, 2.0, servers.client_tls(ctx.site.etcd))
        said = client.member(endpoint)
    except (*servers.FAILURES, Problem) as failure:
        return {**row, "health": servers.reason(failure)}
    mine = said.get("header", {}).get("member_id")
    return {
        **row,
        "health": "healthy",
        "version": said.get("version", "-"),
        "leader": "yes" if said.get("leader") == mine else "no",
        "size": int(said.get("dbSize", 0)),
    }


def _state(ctx: Context, client: Client) -> dict[str, Any]:
    """What can be said when etcd answers; the reason in its place when not."""
    made: dict[str, Any] = {"copies": [str(path) for path in export.copies(ctx)], "kept": {}}
    try:
        wanted = users.enabled(client) if client.user else False
        planned = seed.plan(ctx, client)
    except Problem as problem:
        return {**made, "login": problem.what, "base": "unknown", "settings": "unknown"}
    kept = planned.merge.kept
    made["login"] = "wanted" if wanted else "not wanted"
    made["base"] = "none" if planned.base is None else f"{len(planned.base)} keys"
    made["settings"] = (
        f"{len(planned.merge.changes)} to change, {len(kept)} yours" if planned.needed else "seeded"
    )
    if kept and not planned.needed:
        made["settings"] = f"seeded, {len(kept)} yours"
    made["kept"] = {key: seed.difference(key, new, mine) for key, (mine, new) in kept.items()}
    return made
