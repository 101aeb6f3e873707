"""`backendai-ctl status`: what runs here, how it is, and why not."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backendai_ctl.cli.output import context, emit, example, json_option, table
from backendai_ctl.operations import status as gathered
from backendai_ctl.operations.status import Part, Status
from backendai_ctl.platform.text import status_word


@click.command(**example("backendai-ctl status\nbackendai-ctl status --wait 120 --json"))
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait up to SECONDS until everything is healthy.",
)
@json_option
@click.pass_context
def command(click_ctx: click.Context, wait: float) -> None:
    """Show the components of this host and the servers they use.

    Exit status: 0 if all are healthy; 1 if one is not; 3 if they only wait, such as for `reconfigure`.
    """
    status = gathered.wait(context(click_ctx), wait)
    emit(status.data(), text=lambda console: show(status, console), errors=status.errors)


def show(status: Status, console: Console) -> None:
    """For people."""
    console.print(f"Backend.AI {status.version}")
    if not status.components:
        console.print("No component is installed on this host.")
        return
    console.print(_components(status))
    if status.servers:
        console.print()
        console.print(_servers(status))
    causes = status.causes
    if causes or status.unfinished:
        console.print()
    for cause in causes:
        console.print(f"why not: {cause.message}")
    for row in status.unfinished:
        if row["state"] != "blocked" and not any(row["message"] in c.message for c in causes):
            console.print(f"{row['state']}: {row['step']}: {row['message']}")
    if status.pending and not status.unfinished:
        console.print("pending: settings or packages changed; run: backendai-ctl reconfigure")
    hints = (*(cause.hint for cause in causes), *(row["hint"] for row in status.unfinished))
    for hint in dict.fromkeys(filter(None, hints)):
        console.print(f"hint: {hint}")


def _components(status: Status) -> Table:
    made = table("COMPONENT", "UNIT", "SINCE", "HEALTH", "VERSION")
    for part in status.components:
        made.add_row(
            part.name,
            status_word(
                part.state or "no systemd", {"active": True, "failed": False}.get(part.state)
            ),
            part.since.replace("+00:00", "Z"),
            _health(part),
            part.version,
        )
    return made


def _servers(status: Status) -> Table:
    made = table("SERVER", "WHERE", "UNIT", "HEALTH", "VERSION")
    for part in status.servers:
        made.add_row(part.name, part.where, part.state or "-", _health(part), part.version)
    return made


def _health(part: Part) -> Text:
    if part.state == "off":
        return status_word("off", None)
    if part.ok:
        return status_word("healthy", True)
    return status_word(part.message or "not running", False)
