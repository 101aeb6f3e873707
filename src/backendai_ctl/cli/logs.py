"""`backendai-ctl logs`: the journal of our units."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from backendai_ctl.cli.output import context, example, json_flag
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.operations import units

JOURNALCTL = "/usr/bin/journalctl"
CTL = "backendai-reconfigure.service"


@click.command(**example("backendai-ctl logs manager -n 50\nbackendai-ctl logs -f --since today"))
@click.argument("components", nargs=-1, metavar="[COMPONENT]...")
@click.option("-f", "--follow", is_flag=True, help="Print new lines as they are written.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Show only the last N lines."
)
@click.option(
    "--since", metavar="TIME", help="From this time on, such as '10 min ago' or '2026-11-23 08:00'."
)
@json_flag("One JSON object a line, for programs.")
@click.pass_context
def command(
    click_ctx: click.Context,
    components: tuple[str, ...],
    follow: bool,
    lines: int | None,
    since: str | None,
    as_json: bool,
) -> None:
    """Show the journal of the given components, or of all components of this host.

    COMPONENT is a component or a server in `backendai-ctl status`, or ctl for
    backendai-reconfigure.service. Servers are shown only if they are named.
    """
    named = units_of(context(click_ctx), components)
    argv = arguments(named, follow=follow, lines=lines, since=since, as_json=as_json)
    try:
        os.execv(JOURNALCTL, argv)
    except OSError as error:
        raise Problem(
            f"{JOURNALCTL}: {error.strerror}", hint="this needs a host that runs systemd"
        ) from error


def units_of(ctx: Context, names: Sequence[str]) -> list[str]:
    """The units of components and servers by name. BadRequest for an unknown one."""
    if not names:
        return [*(ctx.facts.components[name].unit for name in ctx.facts.installed()), CTL]
    return units.named(ctx, names, more={"ctl": CTL})


def arguments(
    named: Sequence[str],
    *,
    follow: bool = False,
    lines: int | None = None,
    since: str | None = None,
    as_json: bool = False,
) -> list[str]:
    """The call of journalctl."""
    argv = [JOURNALCTL, *(f"--unit={unit}" for unit in named)]
    argv += ["--follow"] if follow else []
    argv += [f"--lines={lines}"] if lines is not None else []
    argv += [f"--since={since}"] if since else []
    argv += ["--output=json", "--no-pager"] if as_json else []
    return argv
