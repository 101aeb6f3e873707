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
@click.option("--yes-delete-all-data", "sure", is_flag=True, help="With --data: yes, for good.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, dry_run: bool, data: bool, sure: bool) -> None:
    """Stop the services and remove the settings that backendai-ctl made on this host.

    What your users stored, the databases, their dumps and the secrets without which nobody can
    read them stay, unless you ask for --data.
    """
    need_root()
    if data and not (sure or dry_run):
        raise BadRequest(
            "--data deletes databases, dumps, secrets and volumes for good",
            hint="add --yes-delete-all-data, or look first: backendai-ctl purge --data --dry-run",
        )
    done = purge(context(ctx), data=data, dry_run=dry_run)
    emit(
        {"removed": [] if dry_run else done, "would_remove": done if dry_run else []},
        as_json=as_json,
        text=lambda console: console.print("\n".join(done) or "Nothing to remove."),
    )
