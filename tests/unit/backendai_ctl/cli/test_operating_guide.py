"""The guides for operators name no command or option that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from backendai_ctl.cli.main import group
from backendai_ctl.errors import EXIT_STATUSES

DOCS = Path(__file__).resolve().parents[4] / "docs"
GUIDES = "\n".join(path.read_text("utf-8") for path in sorted(DOCS.glob("*.md")))
OPERATING = (DOCS / "OPERATING.md").read_text("utf-8")
LOOKING = {  # they change nothing: there is nothing that --dry-run could leave undone
    *("status", "doctor", "logs", "docker", "admin show-endpoint", "bundle verify", "image list"),
    *("config check", "config diff", "config show", "db status", "etcd diff", "etcd status"),
    *("node list", "storage check", "storage status"),
}
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


def leaves(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """(words, command) of all that can be called."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    with click.Context(command) as parent:
        for name in command.list_commands(parent):
            found = command.get_command(parent, name)
            assert found
            yield from leaves(found, f"{path} {name}".strip())


def test_the_guide_says_which_commands_have_no_dry_run() -> None:
    lacking = {
        path
        for path, command in leaves(group)
        if not any("--dry-run" in parameter.opts for parameter in command.params)
    }
    sentence = OPERATING.partition("have `--dry-run`, except")[2].partition(". ")[0]
    assert set(re.findall("`([^`]+)`", sentence)) == lacking - LOOKING


def test_every_command_but_docker_has_json() -> None:
    lacking = {
        path
        for path, command in leaves(group)
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert lacking == {"docker"}


def test_the_guide_has_every_exit_status() -> None:
    for status, meaning in EXIT_STATUSES.items():
        assert f"\n| {status} | {meaning} |\n" in GUIDES


def test_the_guide_shows_commands() -> None:
    assert len(CALLS) > 15
