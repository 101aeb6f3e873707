"""Every command has what all of them have."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from backendai_ctl.cli.main import NOUNS, group
from backendai_ctl.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PENDING,
    EXIT_REQUEST,
    BadRequest,
    Pending,
    Problem,
)

CHANGING = {
    *(
        "hook",
        "start",
        "stop",
        "restart",
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


def ended(error: BaseException, *words: str) -> Result:
    """How `backendai-ctl status WORDS` ends that raises this error."""

    def refuse(**_options: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ALL["status"], "callback", refuse)
        return CliRunner().invoke(group, ["status", *words])


def test_a_program_is_told_a_problem_as_json() -> None:
    done = ended(Problem("the disk is full", hint="free some"), "--json")
    assert done.exit_code == EXIT_FAILED
    assert json.loads(done.stdout) == {
        "ok": False,
        "errors": [{"message": "the disk is full", "hint": "free some"}],
    }
    assert done.stderr == "backendai-ctl: the disk is full\nhint: free some\n"
    assert ended(Problem("the disk is full")).stdout == ""


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BadRequest("no such step"), EXIT_REQUEST, "backendai-ctl: no such step"),
        (Pending("no etcd"), EXIT_PENDING, "backendai-ctl: no etcd"),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "backendai-ctl: interrupted\nhint: run it again"),
        (PermissionError(13, "Permission denied", "/x"), EXIT_FAILED, "backendai-ctl: /x"),
        (KeyError("secret"), EXIT_FAILED, "backendai-ctl: unexpected KeyError, innermost last:"),
    ],
)
def test_whatever_goes_wrong_ends_in_two_lines_and_its_status(
    error: BaseException, status: int, said: str
) -> None:
    done = ended(error, "--json")
    assert (done.exit_code, done.stderr[: len(said)]) == (status, said)
    assert "secret" not in done.output
    data = json.loads(done.stdout)
    assert not data["ok"] and data["errors"][0]["message"] in done.stderr


def test_nobody_is_told_that_nobody_listens() -> None:
    done = ended(BrokenPipeError(), "--json")
    assert (done.exit_code, done.output) == (EXIT_FAILED, "")


@pytest.mark.parametrize("words", [["status", "--json", "--wait", "x"], ["db", "status", "y"]])
def test_a_wrong_word_is_shown_with_the_usage(words: list[str]) -> None:
    done = CliRunner().invoke(group, words)
    assert done.exit_code == EXIT_REQUEST
    assert "Usage: " in done.stderr and "Error: " in done.stderr
    assert bool(done.stdout) == ("--json" in words)
