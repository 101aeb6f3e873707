"""backendai-ctl hook: what maintainer scripts of packages and the unit of the first boot call."""

from __future__ import annotations

import os

import click

from backendai_ctl import facts
from backendai_ctl.cli.output import context, dry_run_option, emit, example, json_option
from backendai_ctl.operations import hooks, upkeep


@click.command(**example("backendai-ctl hook triggered backendai-manager"))
@click.argument("action", type=click.Choice(["triggered", "boot", "upkeep"]))
@click.argument("package", required=False)
@click.argument("args", nargs=-1)
@json_option
@dry_run_option
@click.pass_context
def command(
    ctx: click.Context,
    action: str,
    package: str | None,
    args: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Finish what packages left pending; for maintainer scripts.

    `triggered` ends a transaction of the package manager: it never fails, and prints one line if
    something stays to be done. `boot` tries again and fails if something is still not done.
    `upkeep`, which a timer calls, removes scratch folders of ended sessions that the agent could not
    remove, renews certificates before they end and starts anew what uses them; it does nothing else.
    """
    known = facts.load()
    if dry_run:
        line = upkeep.plan(context(ctx)) if action == "upkeep" else hooks.plan(known, os.environ)
    else:
        do = {"triggered": hooks.triggered, "boot": hooks.configure, "upkeep": hooks.maintain}
        line = do[action](known, lambda: context(ctx), os.environ)
    emit(
        {"message": line, "pending": line.startswith("pending")},
        text=lambda _console: click.echo(f"backendai: {line}") if line else None,
    )
