"""backendai-ctl config: show, diff, check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from backendai_ctl import facts
from backendai_ctl.cli.output import context, emit, example, json_option, need_root, table
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.rendering import keyed
from backendai_ctl.rendering.merged import Merged, merged
from backendai_ctl.rendering.render import with_config
from backendai_ctl.site.faults import SiteFaults


@click.group(**example("backendai-ctl config check"))
def command() -> None:
    """Show, compare and check settings: the site file and the services' own files."""


@command.command(**example("backendai-ctl config show\nbackendai-ctl config show --json"))
@json_option
@click.pass_context
def show(ctx: click.Context) -> None:
    """Show every setting of the site that is in effect, and the paths of its files.

    No password is shown: the site file only names the files that hold passwords.
    """
    made = context(ctx)
    data = {
        "files": {
            "site": str(made.paths.site_file),
            **{c.name: str(made.paths.config / c.config) for c in with_config(made)},
            "secrets": str(made.paths.secrets),
            "tls": str(made.paths.tls),
        },
        "site": made.site.model_dump(mode="json"),
        "given": sorted(_given(made)),
    }
    emit(data, text=lambda console: _show(console, data))


@command.command(**example("backendai-ctl config diff"))
@json_option
@click.pass_context
def diff(ctx: click.Context) -> None:
    """Show your edits of the services' files, and what the next reconfigure would change in them.

    Secrets are not shown.
    """
    need_root()
    made = context(ctx)
    found: dict[str, dict[str, Any]] = {}
    for component in with_config(made):
        done = merged(made, component)
        found[str(done.path)] = {
            "exists": done.yours is not None,
            "your_edits": _pairs(_swapped(done)),
            "changes": _pairs(done.merge.changes),
            "changed": done.changed,
        }
    emit({"files": found}, text=lambda console: _diff(console, found))


@command.command(**example("backendai-ctl config check"))
@json_option
@click.pass_context
def check(ctx: click.Context) -> None:
    """Check the site file and the services' files. Changes nothing, needs no service.

    Exit status 2: the site file has faults. 1: a service's file has.
    """
    try:
        errors = _errors(context(ctx))
    except SiteFaults as wrong:
        errors = [wrong]
    site = str(facts.load().paths.site_file)
    emit({"site_file": site}, text=lambda console: _checked(console, site, errors), errors=errors)


def _errors(made: Context) -> list[Problem]:
    """What is wrong with the services' files."""
    errors = []
    for component in with_config(made):
        path = made.paths.config / component.config
        try:
            keyed.parse(path, path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except PermissionError:
            errors.append(Problem(f"{path}: cannot be read", hint="run it as root"))
        except Problem as problem:
            errors.append(problem)
    return errors


def _given(ctx: Context) -> set[str]:
    """The keys that the site file sets itself."""
    path = ctx.paths.site_file
    return set(keyed.parse(path, path.read_text("utf-8"))) if path.exists() else set()


def _swapped(done: Merged) -> dict[str, tuple[Any, Any]]:
    """Your edits as shipped -> yours."""
    return {key: (new, yours) for key, (yours, new) in done.merge.kept.items()}


def _pairs(pairs: dict[str, tuple[Any, Any]]) -> list[dict[str, str]]:
    return [
        {"key": key, "from": keyed.shown(key, before), "to": keyed.shown(key, after)}
        for key, (before, after) in pairs.items()
    ]


def _show(console: Console, data: dict[str, Any]) -> None:
    where = table("FILE", "PATH")
    for name, path in data["files"].items():
        where.add_row(name, path)
    console.print(where)
    console.print()
    settings = table("SETTING", "VALUE", "FROM")
    given: list[str] = data["given"]
    for key, value in _leaves(data["site"]):
        source = "site file" if key in given else "default"
        settings.add_row(key, keyed.shown("", value) if value is not None else "-", source)
    console.print(settings)


def _leaves(tree: dict[str, Any], above: str = "") -> Sequence[tuple[str, Any]]:
    made: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{above}.{key}" if above else key
        made += _leaves(value, name) if isinstance(value, dict) and value else [(name, value)]
    return made


def _diff(console: Console, found: dict[str, dict[str, Any]]) -> None:
    quiet = True
    for path, one in found.items():
        lines = [f"  kept, your edit:  {_line(edit)}" for edit in one["your_edits"]]
        lines += [f"  will change:      {_line(change)}" for change in one["changes"]]
        if not one["exists"]:
            lines = ["  will be written"]
        elif one["changed"] and not one["changes"]:
            lines.append("  will change:      comments or order only")
        if lines:
            console.print("\n".join([path, *lines]))
            quiet = False
    if quiet:
        console.print("No edits of yours, nothing to change.")


def _line(pair: dict[str, str]) -> str:
    return f"{pair['key']}: {pair['from']} -> {pair['to']}"


def _checked(console: Console, site: str, errors: Sequence[Problem]) -> None:
    for error in errors:
        lines = error.lines() if isinstance(error, SiteFaults) else [str(error)]
        console.print("\n".join(lines), soft_wrap=True)
    if not errors:
        console.print(f"{site} and the services' files are good.")
