"""backendai-ctl image: the images that sessions start from, and the site's registry that holds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal

from backendai_ctl.cli.output import context, emit, example, json_option, need_root, table
from backendai_ctl.context import Context
from backendai_ctl.database import registry as database
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.database.populate import rescan as read_registry
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.images import layout, pushing
from backendai_ctl.operations.reconfigure import exclusive
from backendai_ctl.platform.text import status_word
from backendai_ctl.topology import registry


@click.group(**example("backendai-ctl image list"))
def command() -> None:
    """Images that sessions start from, and the registry of the site that holds them."""


@command.command("list", **example("backendai-ctl image list --json"))
@json_option
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the images in the registry of this host, and whether the manager knows them.

    Exit status 1: the manager does not know one of them as it is.
    """
    need_root()
    known = context(ctx)
    _need_registry(known)
    rows = _rows(known)

    def text(console: Console) -> None:
        shown = table("IMAGE", "SIZE", "MANAGER")
        for row in rows:
            state = "known" if row["ok"] else "not known"
            shown.add_row(row["name"], decimal(row["size"]), status_word(state, row["ok"]))
        console.print(shown)

    data = {"registry": registry.host(known), "images": rows}
    emit(data, text=text, errors=_errors(rows, "run: backendai-ctl image rescan"))


@command.command(**example("backendai-ctl image load /media/stick/images"))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_option
@click.pass_context
def load(ctx: click.Context, folder: Path) -> None:
    """Push the images of FOLDER, an OCI image layout, and make them known to the manager.

    Each must be named REPOSITORY:TAG there, and the repository begins with stable/. Where the site has
    several management nodes, run it on each.
    """
    need_root()
    known = context(ctx)
    _need_registry(known)
    images = layout.read(folder)
    if not images:
        raise BadRequest(f"{folder} is no OCI image layout: it has no index.json", hint=_LAYOUT)
    for image in images:
        if not image.name.startswith(f"{registry.PROJECT}/"):
            raise BadRequest(
                f"{folder}: {image.name}: its repository does not begin with {registry.PROJECT}/",
                hint="give it another name in index.json",
            )
    with exclusive(known):
        missing = [image for image in images if not pushing.held(known, image)]
        if missing:
            pushing.push(known, missing)
        _read(known)
    names = [image.name for image in missing]
    line = f"Pushed {', '.join(names)}." if names else "Nothing to push."
    given = {image.name for image in images}
    rows = [row for row in _rows(known) if row["name"] in given]
    text = _said(line)
    emit({"pushed": names}, text=text, errors=_errors(rows, _LOGS))


@command.command(**example("backendai-ctl image rescan"))
@json_option
@click.pass_context
def rescan(ctx: click.Context) -> None:
    """Have the manager read which images are in the registry of the site."""
    need_root()
    known = context(ctx)
    _need_registry(known)
    with exclusive(known):
        _read(known)
    rows = _rows(known)
    emit({"images": rows}, text=_said(f"{len(rows)} images."), errors=_errors(rows, _LOGS))


_LOGS = "see: backendai-ctl logs registry manager"
_LAYOUT = "see OPERATING.md, Images, for how to make one"


def _said(line: str) -> Callable[[Console], None]:
    return lambda console: console.print(line)


def _errors(rows: list[dict[str, Any]], hint: str) -> list[Problem]:
    """Of the images that the manager does not know as they are."""
    return [
        Problem(f"{row['name']}: the manager does not know it", hint=hint)
        for row in rows
        if not row["ok"]
    ]


def _need_registry(ctx: Context) -> None:
    if not registry.here(ctx):
        raise BadRequest(
            "there is no registry on this host",
            hint="run it where backendai-registry is installed: on a management node",
        )
    if not registry.usable(ctx):
        raise BadRequest(
            "nodes cannot trust the registry of this site: its certificate is the operator's",
            hint='set mode = "site-ca" in [tls], or name a registry of your own in the web UI',
        )


def _read(ctx: Context) -> None:
    with locked(of_manager(ctx)):
        read_registry(of_manager(ctx), registry.host(ctx))


def _rows(ctx: Context) -> list[dict[str, Any]]:
    with connect(of_manager(ctx)) as db:
        known = database.known(db, registry.host(ctx))
    return [
        {"name": one.name, "size": one.size, "ok": known.get(one.name) == (one.config, True)}
        for one in pushing.stored(ctx)
    ]
