"""Promises of backendai_ctl.cli.output."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from backendai_ctl.cli.output import canonical, emit, example, table


def test_canonical_json_does_not_depend_on_order() -> None:
    one, other = {"b": 1, "a": {"d": "ä", "c": None}}, {"a": {"c": None, "d": "ä"}, "b": 1}
    assert canonical(one) == canonical(other)
    assert canonical(one).endswith("}\n")


def test_json_goes_to_standard_output_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"a": 1}, as_json=True, text=lambda console: console.print("for people"))
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ({"a": 1}, "")


def test_text_is_taken_as_it_is_and_never_folded(capsys: pytest.CaptureFixture[str]) -> None:
    def show(console: Console) -> None:
        made = table("A", "B")
        made.add_row("x", "[bold]" + 100 * "y")
        console.print(made)

    emit({}, as_json=False, text=show)
    assert "[bold]" + 100 * "y" in capsys.readouterr().out


def test_help_ends_with_the_example_line_by_line() -> None:
    command = click.Command("x", **example("backendai-ctl x\nbackendai-ctl x --json"))  # type: ignore[arg-type]
    shown = CliRunner().invoke(command, ["--help"]).output
    assert shown.endswith("Example:\n    backendai-ctl x\n    backendai-ctl x --json\n")
