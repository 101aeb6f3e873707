"""What every command shares: --json and --dry-run, output for people or programs, the context."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backendai_ctl import facts
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
dry_run_option = click.option(
    "--dry-run", "dry_run", is_flag=True, help="Show what would change; change nothing."
)


def example(text: str) -> dict[str, Any]:
    """Keyword for click.command: its help ends with an example, one command a line."""
    lines = "\n".join(f"  {line}" for line in text.strip().splitlines())
    return {"epilog": f"\b\nExample:\n{lines}"}


def canonical(data: Any) -> str:
    """JSON that is the same for the same data: sorted keys, two spaces, LF at the end."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n"


_emitted = False  # whether this run has printed its JSON


def emit(data: Any, *, as_json: bool, text: Callable[[Console], None]) -> None:
    """Print `data` as JSON on standard output, or let `text` write it for people."""
    global _emitted
    if as_json:
        _emitted = True
        click.echo(canonical(data), nl=False)
        return
    text(console())


def emit_error(problem: Problem) -> None:
    """As JSON, for a program that asked for it and was told nothing yet: what, hint, faults."""
    if _emitted:
        return
    data: dict[str, Any] = {"what": problem.what, "hint": problem.hint}
    if faults := getattr(problem, "faults", ()):
        rows = ({"line": f.line, "key": f.key, "reason": f.reason, "cure": f.cure} for f in faults)
        data["faults"] = list(rows)
    emit({"error": data}, as_json=True, text=lambda _console: None)


def console() -> Console:
    """Standard output. Not a terminal: plain, and wide, so that no line of a log is folded."""
    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def table(*columns: str) -> Table:
    """A table without lines around it, in the style of systemctl."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def mark(word: str, good: bool | None) -> Text:
    """A word that says how it is: green, red, or yellow when neither."""
    style = {True: "green", False: "bold red", None: "yellow"}[good]
    return Text(word, style=style)


def context(ctx: click.Context) -> Context:
    """Facts and site file, read once for a command line; Problem when one of them is not good."""
    root = ctx.find_root()
    if not isinstance(root.obj, Context):
        from backendai_ctl.nodes import here
        from backendai_ctl.site.load import load  # pydantic is slow to import: not for --help

        known = facts.load()
        root.obj = here.context(known, load(known.paths.site_file, known), _say)
    made: Context = root.obj
    return made


def need_root() -> None:
    """Problem unless we are root."""
    if os.geteuid() != 0:
        raise Problem("this needs root", hint="run it with sudo")


def _say(text: str) -> None:
    # Progress goes to standard error: standard output belongs to the result.
    click.echo(text, err=True)
