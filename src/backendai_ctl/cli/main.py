"""The command backendai-ctl: nouns, then verbs. A noun's module is loaded when it is used."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from backendai_ctl.errors import EXIT_FAILED, Problem
from backendai_ctl.system import files

# noun: what it is for, in one line; its module is backendai_ctl.cli.NOUN
NOUNS = {
    "status": "Services, their health, and what is pending",
    "doctor": "Check this host before or after installation",
    "reconfigure": "Bring this host to what the site file says",
    "config": "Show, compare and check settings",
    "db": "Databases: state, migration, backup, restore",
    "etcd": "Settings kept in etcd: state, seeding, undo",
    "storage": "Volumes: state, mounts, exports, use",
    "admin": "The administrator's password and address",
    "node": "Nodes of the site: list, export, join, firewall",
    "bundle": "Releases: check a tar before it is unpacked",
    "docker": "The command docker, for sessions' images and containers",
    "logs": "Logs of the services",
    "purge": "Remove what backendai-ctl made",
    "hook": "What maintainer scripts of packages call",
}


class Nouns(click.Group):
    """Commands by name, imported on use: a start costs no more than the command needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        command: click.Command = import_module(f"backendai_ctl.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, text in NOUNS.items() if name != "hook"])


@click.command(
    cls=Nouns,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: backendai-ctl status",
)
@click.version_option(package_name="backendai-ctl", message="%(version)s")
def group() -> None:
    """Set up, check, migrate and mend a Backend.AI site on this host."""


def main() -> None:
    """Run the command; a Problem becomes two lines on standard error and its exit code."""
    os.umask(0o022)
    try:
        # Without click's own handling, ctx.exit(CODE) comes back as the value.
        sys.exit(group(prog_name="backendai-ctl", standalone_mode=False) or 0)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
    except Problem as problem:
        print(f"backendai-ctl: {problem}", file=sys.stderr)
        if "--json" in sys.argv:
            from backendai_ctl.cli.output import emit_error

            emit_error(problem)
        sys.exit(problem.exit_code)
    except BrokenPipeError:
        sys.exit(EXIT_FAILED)
    except OSError as error:
        print(f"backendai-ctl: {files.trouble(error)}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
