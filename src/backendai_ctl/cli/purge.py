"""backendai-ctl purge."""

from __future__ import annotations

import click

from backendai_ctl.cli.output import context, dry_run_option, emit, example, json_option, need_root
from backendai_ctl.errors import BadRequest
from backendai_ctl.purge import purge


@click.command(
    **example("backendai-ctl purge --dry-run\nbackendai-ctl purge --data --yes-delete-all-data")
)
@json_option
@dry_run_option
@click.option("--data", is_flag=True, help="Databases, dumps, secrets and volumes as well.")
@click.option(
    "--volumes",
    "named",
    multiple=True,
    metavar="NAME",
    help="With --data: of the volumes only this one (may be repeated). In a site of several nodes no "
    "volume is deleted without it.",
)
@click.option("--yes-delete-all-data", "sure", is_flag=True, help="With --data: yes, for good.")
@click.pass_context
def command(
    ctx: click.Context,
    as_json: bool,
    dry_run: bool,
    data: bool,
    named: tuple[str, ...],
    sure: bool,
) -> None:
    """Stop the services and remove the settings that backendai-ctl made on this host.

    What your users stored, the databases, their dumps and the secrets without which nobody can
    read them stay, unless you ask for --data. Of the volumes it deletes those whose folder
    backendai-ctl made on this host, and never what is mounted; it says what it leaves, and why.
    """
    need_root()
    if named and not data:
        raise BadRequest("--volumes deletes volumes: it goes with --data", hint="add --data")
    if data and not (sure or dry_run):
        raise BadRequest(
            "--data deletes databases, dumps, secrets and volumes for good",
            hint="add --yes-delete-all-data, or look first: backendai-ctl purge --data --dry-run",
        )
    done = purge(context(ctx), data=data, dry_run=dry_run, named=named)
    lines = [*done.gone, *(f"left {line}" for line in done.left)]
    emit(
        {
            "removed": [] if dry_run else done.gone,
            "would_remove": done.gone if dry_run else [],
            "left": done.left,
        },
        as_json=as_json,
        text=lambda console: console.print("\n".join(lines) or "Nothing to remove."),
    )
