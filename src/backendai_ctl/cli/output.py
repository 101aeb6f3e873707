"""What every command shares: --json and --dry-run, output for people or programs, the context.

A command ends with its result by `emit`, or with what it raised by `fail`. With --json both print one
object that has `ok` and `errors`, see `backendai_ctl.errors.summary`; the exit status is that of the errors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from backendai_ctl import facts, log
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_FAILED, BadRequest, Interrupted, Problem, exit_status, summary
from backendai_ctl.platform import files
from backendai_ctl.platform.text import canonical

_JSON = f"{__name__}.json"  # in what the contexts of a command line share: whether --json is given


def _note_json(ctx: click.Context, _option: click.Parameter, given: bool) -> bool:
    ctx.meta[_JSON] = given
    return given


def json_flag(help: str, **more: Any) -> Any:
    """The option --json; it is known before another one is refused."""
    return click.option(
        "--json", "as_json", is_flag=True, is_eager=True, callback=_note_json, help=help, **more
    )


json_option = json_flag("Print JSON, for programs.", expose_value=False)
dry_run_option = click.option(
    "--dry-run", "dry_run", is_flag=True, help="Show what would change; change nothing."
)


def example(text: str) -> dict[str, Any]:
    """Keyword for click.command: its help ends with an example, one command a line."""
    lines = "\n".join(f"  {line}" for line in text.strip().splitlines())
    return {"epilog": f"\b\nExample:\n{lines}"}


def emit(
    data: dict[str, Any],
    text: Callable[[Console], None] = lambda _console: None,
    errors: Sequence[Problem] = (),
) -> None:
    """Print `data` as JSON, or let `text` write it for people; with `errors` the command ends by them.

    People are told of the errors by `text`, or were before.
    """
    ctx = click.get_current_context()
    show(text)
    if ctx.meta.get(_JSON):
        asked = {key: ctx.params[key] for key in ("dry_run",) if key in ctx.params}
        click.echo(canonical({**summary(errors), **asked, **data}), nl=False)
    if errors:
        ctx.exit(exit_status(errors))


def show(text: Callable[[Console], None]) -> None:
    """Let `text` write for people what cannot wait until the end."""
    if not click.get_current_context().meta.get(_JSON):
        text(console())


def complain(problem: Problem) -> None:
    """Tell people of it, on standard error."""
    click.echo(f"backendai-ctl: {problem}", err=True)


def fail(ctx: click.Context, error: BaseException) -> NoReturn:
    """End the command by what it raised, told to people and, if asked for, to programs."""
    if isinstance(error, BrokenPipeError):  # nobody listens
        ctx.exit(EXIT_FAILED)
    problem = _problem(error)
    if isinstance(error, click.ClickException):
        error.show()
    else:
        complain(problem)
    # A word that is refused ends the reading of options before --json is known.
    if ctx.meta.get(_JSON, isinstance(error, click.UsageError) and "--json" in sys.argv):
        click.echo(canonical(summary([problem])), nl=False)
    ctx.exit(problem.exit_code)


def _problem(error: BaseException) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, click.ClickException):
        return BadRequest(error.format_message(), hint="see: backendai-ctl --help")
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return Interrupted("interrupted", hint="run it again to go on")
    if isinstance(error, OSError):
        return files.trouble(error)
    where = "\n  ".join(log.frames(error))
    return Problem(  # its text may hold a secret
        f"unexpected {type(error).__name__}, innermost last:\n  {where}",
        hint="this is a fault of backendai-ctl: please report these lines",
    )


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


def context(ctx: click.Context) -> Context:
    """Facts and site file, read once for a command line; Problem when one of them is not good."""
    root = ctx.find_root()
    if not isinstance(root.obj, Context):
        from backendai_ctl.topology import here
        from backendai_ctl.validation.load import load  # pydantic is slow to import: not for --help

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
