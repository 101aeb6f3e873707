"""`backendai-ctl start`, `stop` and `restart`."""

from __future__ import annotations

import click

from backendai_ctl.cli.output import (
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    need_root,
)
from backendai_ctl.operations import units

_DONE = {"start": "started", "stop": "stopped", "restart": "restarted"}


def _command(word: str, about: str) -> click.Command:
    @click.command(name=word, help=about, **example(f"backendai-ctl {word} manager"))
    @click.argument("components", nargs=-1, metavar="[COMPONENT]...")
    @json_option
    @dry_run_option
    @click.pass_context
    def command(click_ctx: click.Context, components: tuple[str, ...], dry_run: bool) -> None:
        need_root()
        found = units.act(context(click_ctx), word, components, dry_run=dry_run)
        said = f"would {word}" if dry_run else _DONE[word]
        emit(
            {"action": word, "units": found},
            text=lambda console: console.print(f"{said}: {', '.join(found)}"),
        )

    made: click.Command = command
    return made


_NAMES = (
    "COMPONENT is a component or a server in `backendai-ctl status`. Default: all of this host."
)
start = _command(
    "start",
    f"Start components and servers, and wait until they are healthy.\n\n{_NAMES}",
)
stop = _command(
    "stop",
    "Stop components and servers.\n\nThey stay stopped until `start`, `reconfigure` or the next boot. "
    f"Sessions keep running while the agent is stopped. {_NAMES}",
)
restart = _command(
    "restart",
    f"Restart components and servers, and wait until they are healthy.\n\n{_NAMES}",
)
