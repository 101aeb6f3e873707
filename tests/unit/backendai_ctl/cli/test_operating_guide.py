"""The guides for operators name no command or option that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from backendai_ctl.cli.main import group
from backendai_ctl.errors import EXIT_STATUSES

DOCS = Path(__file__).resolve().parents[4] / "docs"
GUIDES = "\n".join((DOCS / f"{n}.md").read_text("utf-8") for n in ("OPERATING", "NODES", "STORAGE"))
CALLS = sorted(set(re.findall(r"(?:^ +|`)backendai-ctl ([a-z][^`\n]*)", GUIDES, re.MULTILINE)))


@pytest.mark.parametrize("call", CALLS)
def test_a_command_of_the_guide_exists(call: str) -> None:
    command: click.Command = group
    words = call.split()
    while isinstance(command, click.Group):
        with click.Context(command) as parent:
            found = command.get_command(parent, words.pop(0))
        assert found, call
        command = found
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("-")} <= known


def test_the_guide_has_every_exit_status() -> None:
    for status, meaning in EXIT_STATUSES.items():
        assert f"\n| {status} | {meaning} |\n" in GUIDES


def test_the_guide_shows_commands() -> None:
    assert len(CALLS) > 15
