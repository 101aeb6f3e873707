"""`backendai-ctl docker`: the command docker, led to the engine that this host uses."""

from __future__ import annotations

import os

import click

from backendai_ctl.cli.output import context, example
from backendai_ctl.errors import Problem
from backendai_ctl.topology import container_engine


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
    **example("backendai-ctl docker ps\nbackendai-ctl docker load -i image.tar"),
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="WORD...")
@click.pass_context
def command(click_ctx: click.Context, words: tuple[str, ...]) -> None:
    """Run the docker command with the container engine that the sessions of this host use.

    All arguments are passed to docker. Use it to manage images and to inspect containers; do not start
    or stop sessions with it, that is done by the agent.
    """
    engine = container_engine.of(context(click_ctx).facts)
    program = engine.command
    if program is None:
        raise Problem(
            "there is no docker command on this host",
            hint="run: apt install backendai-docker, or docker-cli where the host has a Docker",
        )
    os.execve(program, ["docker", *words], {**os.environ, **engine.environment})
