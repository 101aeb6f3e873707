"""`backendai-ctl logs`: the journal of our units."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence

import click

from backendai_ctl import servers
from backendai_ctl.cli.output import context, example
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem

JOURNALCTL = "/usr/bin/journalctl"
CTL = "backendai-reconfigure.service"


@click.command(**example("backendai-ctl logs manager -n 50\nbackendai-ctl logs -f --since today"))
@click.argument("components", nargs=-1, metavar="[COMPONENT]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they come.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="The last N lines only.")
@click.option("--since", help="From this time on, such as '10 min ago' or '2026-11-23 08:00'.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.pass_context
def command(
    click_ctx: click.Context,
    components: tuple[str, ...],
    follow: bool,
    lines: int | None,
    since: str | None,
    as_json: bool,
) -> None:
    """Show what components wrote to the journal; all of this host's without a name.

    COMPONENT is a name as in `backendai-ctl status`, servers included.
    """
    units = units_of(context(click_ctx), components)
    argv = arguments(units, follow=follow, lines=lines, since=since, as_json=as_json)
    try:
        os.execv(JOURNALCTL, argv)
    except OSError as error:
        raise Problem(
            f"{JOURNALCTL}: {error.strerror}", hint="this needs a host that runs systemd"
        ) from error


def units_of(ctx: Context, names: Sequence[str]) -> list[str]:
    """The units of components and servers by name. BadRequest for an unknown one."""
    known = {name: ctx.facts.components[name].unit for name in ctx.facts.installed()}
    if not names:
        return [*known.values(), CTL]
    known |= {**servers.units(ctx), "ctl": CTL}
    units = []
    for name in names:
        short = name.removeprefix("backendai-").removesuffix(".service")
        if short not in known:
            near = difflib.get_close_matches(short, known, 1)
            raise BadRequest(
                f"no component {name!r} on this host",
                hint=f"did you mean {near[0]}?" if near else f"known are: {', '.join(known)}",
            )
        units.append(known[short])
    return units


def arguments(
    units: Sequence[str],
    *,
    follow: bool = False,
    lines: int | None = None,
    since: str | None = None,
    as_json: bool = False,
) -> list[str]:
    """The call of journalctl."""
    argv = [JOURNALCTL, *(f"--unit={unit}" for unit in units)]
    argv += ["--follow"] if follow else []
    argv += [f"--lines={lines}"] if lines is not None else []
    argv += [f"--since={since}"] if since else []
    argv += ["--output=json", "--no-pager"] if as_json else []
    return argv
