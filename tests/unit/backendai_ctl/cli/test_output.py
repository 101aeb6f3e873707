"""Promises of backendai_ctl.cli.output."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
from click.testing import CliRunner, Result
from rich.console import Console

from backendai_ctl.cli.output import dry_run_option, emit, example, json_option, table
from backendai_ctl.errors import EXIT_FAILED, EXIT_PENDING, Pending, Problem
from backendai_ctl.platform.text import canonical


def test_canonical_json_does_not_depend_on_order() -> None:
    one, other = {"b": 1, "a": {"d": "ä", "c": None}}, {"a": {"c": None, "d": "ä"}, "b": 1}
    assert canonical(one) == canonical(other)
    assert canonical(one).endswith("}\n")


def call(*words: str, errors: Sequence[Problem] = (), dry: bool = False) -> Result:
    """A command that emits a row, with these errors."""

    @click.command()
    @json_option
    def command(**_options: bool) -> None:
        emit({"a": 1}, lambda console: console.print("for people"), errors)

    return CliRunner().invoke(dry_run_option(command) if dry else command, words)


def test_json_goes_to_standard_output_and_nothing_else() -> None:
    done = call("--json")
    assert (json.loads(done.stdout), done.stderr) == ({"ok": True, "errors": [], "a": 1}, "")
    assert call().stdout == "for people\n"


def test_errors_are_told_and_give_the_exit_status() -> None:
    done = call("--json", errors=[Pending("not now", hint="later")])
    assert done.exit_code == EXIT_PENDING
    assert json.loads(done.stdout) == {
        **{"ok": False, "a": 1},
        "errors": [{"message": "not now", "hint": "later"}],
    }
    assert call(errors=[Pending("x"), Problem("y")]).exit_code == EXIT_FAILED


def test_a_command_with_a_dry_run_says_whether_it_was_one() -> None:
    assert json.loads(call("--json", "--dry-run", dry=True).stdout)["dry_run"] is True
    assert json.loads(call("--json", dry=True).stdout)["dry_run"] is False


def test_text_is_taken_as_it_is_and_never_folded() -> None:
    def show(console: Console) -> None:
        made = table("A", "B")
        made.add_row("x", "[bold]" + 100 * "y")
        console.print(made)

    command = click.Command("x", callback=lambda: emit({}, text=show))
    assert "[bold]" + 100 * "y" in CliRunner().invoke(command).stdout


def test_help_ends_with_the_example_line_by_line() -> None:
    command = click.Command("x", **example("backendai-ctl x\nbackendai-ctl x --json"))  # type: ignore[arg-type]
    shown = CliRunner().invoke(command, ["--help"]).output
    assert shown.endswith("Example:\n    backendai-ctl x\n    backendai-ctl x --json\n")
