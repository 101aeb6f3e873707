"""Every command has what all of them have."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click
import pytest

from backendai_ctl.cli import main as module
from backendai_ctl.cli import output
from backendai_ctl.cli.main import NOUNS, group
from backendai_ctl.errors import Problem

CHANGING = {
    *(
        "hook",
        "reconfigure",
        "purge",
        "db migrate",
        "db backup",
        "db restore",
        "etcd seed",
        "etcd undo",
    ),
    *("storage mount", "storage export", "admin reset-password"),
    *("node export", "node join", "node firewall", "node hosts"),
}


def leaves() -> Iterator[tuple[str, click.Command]]:
    with click.Context(group) as ctx:
        for noun in NOUNS:
            command = group.get_command(ctx, noun)
            assert command
            if isinstance(command, click.Group):
                yield from ((f"{noun} {verb}", leaf) for verb, leaf in command.commands.items())
            else:
                yield noun, command


# All that follows its name is for the program that it calls.
ALL = {name: command for name, command in leaves() if name != "docker"}


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_command_has_json_and_an_example(name: str) -> None:
    command = ALL[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert "Example" in (command.epilog or "")
    assert "--json" in options
    assert name not in CHANGING or "--dry-run" in options


def test_what_changes_something_is_known() -> None:
    assert set(ALL) >= CHANGING


def test_a_program_is_told_a_problem_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_options: object) -> None:
        raise Problem("the disk is full", hint="free some")

    monkeypatch.setattr(module, "group", refuse)
    monkeypatch.setattr(output, "_emitted", False)
    monkeypatch.setattr(sys, "argv", ["backendai-ctl", "status", "--json"])
    with pytest.raises(SystemExit) as caught:
        module.main()
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert json.loads(out) == {"error": {"what": "the disk is full", "hint": "free some"}}
    assert "hint: free some" in err
