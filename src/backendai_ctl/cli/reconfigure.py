"""backendai-ctl reconfigure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from backendai_ctl.change import Change
from backendai_ctl.cli.output import (
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    need_root,
    table,
)
from backendai_ctl.errors import Problem, summary
from backendai_ctl.operations.reconfigure import Report, reconfigure
from backendai_ctl.platform.text import status_word

_OK = {"done": True, "same": True, "pending": None, "blocked": None, "failed": False}


@click.command(**example("backendai-ctl reconfigure --dry-run\nbackendai-ctl reconfigure"))
@json_option
@dry_run_option
@click.option("--only", multiple=True, metavar="STEP", help="Only this step; may be repeated.")
@click.pass_context
def command(ctx: click.Context, dry_run: bool, only: tuple[str, ...]) -> None:
    """Bring this host to what /etc/backendai/site.toml says.

    Each step checks first and changes only what differs, so you can run it at any time, also after
    an interrupted run. Exit status: 1 if a step failed; 3 if none failed but some are pending.
    """
    need_root()
    report = reconfigure(context(ctx), dry_run=dry_run, only=only)
    finish(report, dry_run=dry_run)


def finish(report: Report, *, dry_run: bool, more: Mapping[str, Any] | None = None) -> None:
    """Show the report, with `more` in its JSON, and end with its exit status."""
    data = {**_data(report), **(more or {})}
    emit(data, text=lambda console: _text(console, report, dry_run), errors=report.errors)


def _data(report: Report) -> dict[str, Any]:
    plan = {
        name: summary([found])
        if isinstance(found, Problem)
        else {"changes": [asdict(change) for change in found]}
        for name, found in report.plan.items()
    }
    steps = {name: asdict(outcome) for name, outcome in report.outcomes.items()}
    return {"steps": steps, "plan": plan}


def _text(console: Console, report: Report, dry_run: bool) -> None:
    if dry_run:
        _plan(console, report.plan)
        return
    shown = table("STEP", "STATE", "SECONDS", "")
    hints = []
    for name, outcome in report.outcomes.items():
        seconds = f"{outcome.seconds:.1f}" if outcome.seconds else ""
        shown.add_row(
            name, status_word(outcome.state, _OK[outcome.state]), seconds, outcome.message
        )
        if outcome.hint and outcome.state != "blocked":
            hints.append(outcome.hint)
    console.print(shown)
    for hint in dict.fromkeys(hints):
        console.print(f"hint: {hint}")


def _plan(console: Console, plan: dict[str, list[Change] | Problem]) -> None:
    nothing = True
    for name, found in plan.items():
        if isinstance(found, Problem):
            console.print(f"{name}: cannot be said now: {found.message}")
            nothing = False
            continue
        for change in found:
            console.print(f"{name}: {change}")
            nothing = False
    if nothing:
        console.print("Nothing to do.")
