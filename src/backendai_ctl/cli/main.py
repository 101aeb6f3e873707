"""The command backendai-ctl: nouns, then verbs. A noun's module is loaded when it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click

from backendai_ctl import log

# word: what it is for, in one line; its module is backendai_ctl.cli.WORD, but for those of MODULES
NOUNS = {
    "status": "Services, their health, and what is pending",
    "start": "Start services",
    "stop": "Stop services",
    "restart": "Restart services",
    "doctor": "Check this host before or after installation",
    "accept": "Use the site as its users do, and report",
    "reconfigure": "Bring this host to what the site file says",
    "config": "Show, compare and check settings",
    "db": "Databases: state, migration, backup, restore",
    "etcd": "Settings kept in etcd: state, seeding, undo",
    "storage": "Volumes: state, mounts, exports, use",
    "admin": "The administrator's password and address",
    "node": "Nodes of the site: list, export, join, firewall",
    "bundle": "Releases: check a tar before it is unpacked",
    "image": "Images that sessions start from: list, load, pull, remove",
    "docker": "The command docker, for sessions' images and containers",
    "logs": "Logs of the services",
    "purge": "Remove what backendai-ctl made",
    "hook": "What maintainer scripts of packages call",
}
HIDDEN = "hook"  # not for people
MODULES = {"start": "units", "stop": "units", "restart": "units"}


class Nouns(click.Group):
    """Commands by name, imported on use: a start costs no more than the command needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [noun for noun in NOUNS if noun != HIDDEN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        module = import_module(f"backendai_ctl.cli.{MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name if cmd_name in MODULES else "command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:
            from backendai_ctl.cli.output import fail

            fail(ctx, error)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(noun, NOUNS[noun]) for noun in self.list_commands(ctx)])


@click.command(
    cls=Nouns,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: backendai-ctl status",
)
@click.version_option(package_name="backendai-ctl", message="%(version)s")
@click.option("--debug", is_flag=True, help="Log the programs that are run to standard error.")
def group(debug: bool) -> None:
    """Set up, check, migrate and mend a Backend.AI site on this host."""
    log.set_up(debug=debug)


def commands() -> Iterator[tuple[str, click.Command]]:
    """All commands of people by their words, groups before what is in them."""
    with click.Context(group) as ctx:
        for noun in group.list_commands(ctx):
            if command := group.get_command(ctx, noun):
                yield noun, command
                if isinstance(command, click.Group):
                    for verb, leaf in sorted(command.commands.items()):
                        yield f"{noun} {verb}", leaf


def main() -> None:
    """Run the command line, and exit."""
    os.umask(0o022)
    log.set_up(debug=False)
    group(prog_name="backendai-ctl")
