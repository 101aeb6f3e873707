"""backendai-ctl purge."""

from __future__ import annotations

import click

from backendai_ctl.cli.output import context, dry_run_option, emit, example, json_option, need_root
from backendai_ctl.errors import BadRequest
from backendai_ctl.operations.purge import purge


@click.command(
    **example("backendai-ctl purge --dry-run\nbackendai-ctl purge --data --yes-delete-all-data")
)
@json_option
@dry_run_option
@click.option("--data", is_flag=True, help="Also delete databases, dumps, secrets and volumes.")
@click.option(
    "--volumes",
    "named",
    multiple=True,
    metavar="NAME",
    help="With --data: delete only this volume; may be repeated. In a site of several nodes only volumes "
    "named here are deleted.",
)
@click.option(
    "--yes-delete-all-data", "sure", is_flag=True, help="With --data: confirm the deletion."
)
@click.pass_context
def command(
    ctx: click.Context,
    dry_run: bool,
    data: bool,
    named: tuple[str, ...],
    sure: bool,
) -> None:
    """Stop the services and remove the settings that backendai-ctl made on this host.

    Files of users, databases, dumps and the secrets that are needed to read them are kept unless
    --data is given. With --data, only volumes whose folder backendai-ctl created on this host are
    deleted, and never what is mounted. Everything that is kept is listed with the reason.
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
        {"removed": done.gone, "left": done.left},
        text=lambda console: console.print("\n".join(lines) or "Nothing to remove."),
    )
