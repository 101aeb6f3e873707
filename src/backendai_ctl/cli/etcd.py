"""backendai-ctl etcd: the settings that services read from etcd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from backendai_ctl.change import Change
from backendai_ctl.cli.output import (
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    need_root,
    table,
)
from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.etcd import access, export, seed, space, users
from backendai_ctl.etcd.client import Client
from backendai_ctl.operations.reconfigure import exclusive
from backendai_ctl.platform.text import status_word
from backendai_ctl.probes import servers

Pairs = Mapping[str, tuple[str | None, str | None]]
_AWAY = "see whether this member is up, and what is between it and this host"
_RESTART = "Services read it when they start: backendai-ctl reconfigure restarts those concerned."


@click.group(**example("backendai-ctl etcd diff"))
def command() -> None:
    """Settings kept in etcd: state, comparison, seeding, undo, defragmentation."""


@command.command(**example("backendai-ctl etcd status"))
@json_option
@click.pass_context
def status(ctx: click.Context) -> None:
    """Show the members of etcd, whether it requires a login, and whether it is seeded.

    Exit status: 1 if a member does not answer or etcd is not set up as needed; 3 if it is not seeded.
    """
    need_root()
    known = context(ctx)
    client = access.connect(known)
    rows = [_member(known, client, endpoint) for endpoint in known.site.etcd.endpoints]
    state, errors = _state(known, client)
    data = {"members": rows, **state}

    def text(console: Console) -> None:
        shown = table("ENDPOINT", "HEALTH", "VERSION", "LEADER", "SIZE")
        for row in rows:
            word = status_word("healthy" if row["ok"] else row["message"], row["ok"])
            size = f"{row['size'] / 1e6:.1f} MB" if row["size"] else "-"
            shown.add_row(row["endpoint"], word, row["version"], row["leader"], size)
        console.print(shown)
        console.print()
        newest = data["copies"][-1] if data["copies"] else "none yet"
        for key, how in {**data, "last copy": newest}.items():
            if isinstance(how, str):
                console.print(f"{key + ':':<11}{how}")
        for edit in data["kept"]:
            console.print(f"{'yours:':<11}{edit['what']}: {edit['how']}")

    away = [Problem(f"{r['endpoint']}: {r['message']}", hint=_AWAY) for r in rows if not r["ok"]]
    emit(data, text=text, errors=away or errors)


@command.command(**example("backendai-ctl etcd diff"))
@json_option
@click.pass_context
def diff(ctx: click.Context) -> None:
    """Show the keys that you changed, and what seeding would change. Secrets are not shown."""
    need_root()
    known = context(ctx)
    planned = seed.plan(known, access.connect(known))
    _report(planned.merge.changes, planned.merge.kept, done=False)


@command.command(
    "seed",
    **example(
        "backendai-ctl etcd seed --dry-run\n"
        "backendai-ctl etcd seed --take volumes/exposed_volume_info"
    ),
)
@click.option(
    "--take", multiple=True, metavar="KEY", help="Overwrite your edit of KEY; may be repeated."
)
@json_option
@dry_run_option
@click.pass_context
def seed_command(ctx: click.Context, take: tuple[str, ...], dry_run: bool) -> None:
    """Write the settings of the site file and this release; keep keys that you changed or deleted."""
    need_root()
    known = context(ctx)
    if dry_run:
        planned = seed.plan(known, access.connect(known), take)
    else:
        with exclusive(known):
            planned = seed.seed(known, take)
    _report(planned.merge.changes, planned.merge.kept, done=not dry_run)


@command.command(**example("backendai-ctl etcd undo --dry-run\nbackendai-ctl etcd undo"))
@json_option
@dry_run_option
@click.pass_context
def undo(ctx: click.Context, dry_run: bool) -> None:
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
    _report(planned.changes, planned.kept, done=not dry_run)


@command.command(**example("backendai-ctl etcd defragment"))
@json_option
@click.pass_context
def defragment(ctx: click.Context) -> None:
    """Compact the site's own etcd, give free space back to its disk, and clear the alarm NOSPACE.

    When etcd reaches its size limit, it accepts no writes until it is defragmented. It does not answer
    meanwhile, some seconds per GB. Old revisions of keys are deleted; Backend.AI does not read them.
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

    emit({"members": rows}, text=text)


def _report(changes: Pairs, kept: Pairs, *, done: bool) -> None:
    """`kept`: key -> (yours, what it would be otherwise)."""
    changed = [Change(key, seed.difference(key, *pair)) for key, pair in changes.items()]
    yours = _kept(kept)

    def text(console: Console) -> None:
        for change in changed:
            console.print(f"{'changed' if done else 'to change':<10}{change}")
        for edit in yours:
            console.print(f"{'yours':<10}{edit}")
        if not changed:
            console.print("Nothing to change.")
        elif done:
            console.print(_RESTART)

    emit({"changes": list(map(asdict, changed)), "kept": list(map(asdict, yours))}, text=text)


def _kept(kept: Pairs) -> list[Change]:
    return [Change(key, seed.difference(key, new, mine)) for key, (mine, new) in kept.items()]


def _member(ctx: Context, client: Client, endpoint: str) -> dict[str, Any]:
    row: dict[str, Any] = {"endpoint": endpoint, "version": "-", "leader": "-", "size": 0}
    try:
        servers.etcd(endpoint, 2.0, servers.client_tls(ctx.site.etcd))
        said = client.member(endpoint)
    except (*servers.FAILURES, Problem) as failure:
        return {**row, "ok": False, "message": servers.reason(failure)}
    mine = said.get("header", {}).get("member_id")
    return {
        **row,
        "ok": True,
        "message": "",
        "version": said.get("version", "-"),
        "leader": "yes" if said.get("leader") == mine else "no",
        "size": int(said.get("dbSize", 0)),
    }


def _state(ctx: Context, client: Client) -> tuple[dict[str, Any], list[Problem]]:
    """What can be said when etcd answers, and what is wrong; the reason in its place when not."""
    made: dict[str, Any] = {"copies": [str(path) for path in export.copies(ctx)], "kept": []}
    try:
        wanted = users.enabled(client) if client.user else False
        planned = seed.plan(ctx, client)
    except Problem as problem:
        said = {"login": problem.message, "base": "unknown", "settings": "unknown"}
        return {**made, **said}, [problem]
    errors: list[Problem] = []
    if client.user and not wanted:
        errors.append(Problem("etcd requires no login", hint="enable authentication in etcd"))
    if planned.base is None:
        errors.append(Pending("etcd is not seeded", hint="run: backendai-ctl etcd seed"))
    kept = planned.merge.kept
    made["login"] = "wanted" if wanted else "not wanted"
    made["base"] = "none" if planned.base is None else f"{len(planned.base)} keys"
    made["settings"] = (
        f"{len(planned.merge.changes)} to change, {len(kept)} yours" if planned.needed else "seeded"
    )
    if kept and not planned.needed:
        made["settings"] = f"seeded, {len(kept)} yours"
    made["kept"] = list(map(asdict, _kept(kept)))
    return made, errors
