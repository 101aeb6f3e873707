"""backendai-ctl config: show, diff, check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from backendai_ctl import facts
from backendai_ctl.cli.output import context, emit, example, json_option, need_root, table
from backendai_ctl.config import keyed
from backendai_ctl.config.merged import Merged, merged
from backendai_ctl.config.render import with_config
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_FAILED, EXIT_USAGE, Problem
from backendai_ctl.site.faults import SiteFaults


@click.group(**example("backendai-ctl config check"))
def command() -> None:
    """Show, compare and check settings: the site file and the services' own files."""


@command.command(**example("backendai-ctl config show\nbackendai-ctl config show --json"))
@json_option
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Show every setting of the site as it is in force, and where the files are.

    Passwords are in none of them: the site file names files that hold passwords.
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
    emit(data, as_json=as_json, text=lambda console: _show(console, data))


@command.command(**example("backendai-ctl config diff"))
@json_option
@click.pass_context
def diff(ctx: click.Context, as_json: bool) -> None:
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
    emit(found, as_json=as_json, text=lambda console: _diff(console, found))


@command.command(**example("backendai-ctl config check"))
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Check the site file and the services' files. Changes nothing, needs no service.

    Exit status 2: the site file has faults. 1: a service's file has.
    """
    faults: list[dict[str, Any]] = []
    status = 0
    try:
        made = context(ctx)
        for component in with_config(made):
            path = made.paths.config / component.config
            try:
                text = path.read_text("utf-8")
                keyed.parse(path, text)
            except FileNotFoundError:
                continue
            except PermissionError:
                faults.append(_problem(Problem(f"{path}: cannot be read", hint="run it as root")))
                status = EXIT_FAILED
            except Problem as problem:
                faults.append(_problem(problem))
                status = EXIT_FAILED
    except SiteFaults as wrong:
        status = EXIT_USAGE
        faults = [
            {
                "file": str(wrong.path),
                "line": fault.line,
                "key": fault.key,
                "reason": fault.reason,
                "cure": fault.cure,
            }
            for fault in wrong.faults
        ]
    site = str(facts.load().paths.site_file)
    data = {"site_file": site, "faults": faults}
    emit(data, as_json=as_json, text=lambda console: _checked(console, site, faults))
    if status:
        ctx.exit(status)


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


def _problem(problem: Problem) -> dict[str, Any]:
    return {"reason": problem.what, "cure": problem.hint}


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


def _checked(console: Console, site: str, faults: list[dict[str, Any]]) -> None:
    for fault in faults:
        if "line" in fault:
            where = f"{fault['file']}:{fault['line']}: {fault['key']}: "
            console.print(f"{where}{fault['reason']}; {fault['cure']}", soft_wrap=True)
        else:
            console.print(f"{fault['reason']}\nhint: {fault['cure']}", soft_wrap=True)
    if not faults:
        console.print(f"{site} and the services' files are good.")
