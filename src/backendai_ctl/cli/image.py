"""backendai-ctl image: the images that sessions start from, and the site's registry that holds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal

from backendai_ctl.cli.output import (
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    need_root,
    show,
    table,
)
from backendai_ctl.context import Context
from backendai_ctl.database import registry as database
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.database.populate import rescan as read_registry
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.images import layout, pushing, removing
from backendai_ctl.operations import images as operations
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

    Images of the release that were removed, and stay away, are listed below. Exit status 1: the manager does
    not know one of them as it is.
    """
    need_root()
    known = context(ctx)
    _need_registry(known)
    rows, removed = _rows(known), removing.removed(known)

    def text(console: Console) -> None:
        shown = table("IMAGE", "SIZE", "MANAGER")
        for row in rows:
            state = "known" if row["ok"] else "not known"
            shown.add_row(row["name"], decimal(row["size"]), status_word(state, row["ok"]))
        console.print(shown)
        if removed:
            console.print(f"Removed: {', '.join(removed)}")

    data = {"registry": registry.host(known), "images": rows, "removed": removed}
    emit(data, text=text, errors=_errors(rows, "run: backendai-ctl image rescan"))


@command.command(**example("backendai-ctl image load /media/stick/images"))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
@click.pass_context
def load(ctx: click.Context, folder: Path, names: tuple[str, ...]) -> None:
    """Push the images of FOLDER, an OCI image layout, and register them with the manager.

    Each must have a name REPOSITORY:TAG there, whose repository begins with stable/; with NAME, only these
    are pushed. An image that was removed comes back. On a site of several management nodes, run it on each.
    """
    need_root()
    known = context(ctx)
    _need_registry(known)
    images = layout.read(folder)
    if not images:
        raise BadRequest(f"{folder} is not an OCI image layout: it has no index.json", hint=_LAYOUT)
    if absent := sorted(set(names).difference(image.name for image in images)):
        there = ", ".join(image.name for image in images)
        raise BadRequest(f"{folder} has no {', '.join(absent)}", hint=f"it has {there}")
    images = [image for image in images if not names or image.name in names]
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
        removing.let_in(known, [image.name for image in images])
        _read(known)
    pushed = [image.name for image in missing]
    line = f"Pushed {', '.join(pushed)}." if pushed else "Nothing to push."
    given = {image.name for image in images}
    rows = [row for row in _rows(known) if row["name"] in given]
    text = _said(line)
    emit({"pushed": pushed}, text=text, errors=_errors(rows, _LOGS))


@command.command(**example("backendai-ctl image rescan"))
@json_option
@click.pass_context
def rescan(ctx: click.Context) -> None:
    """Have the manager read which images are in the registries of the site.

    These are the registry of this host, and those that the site file names.
    """
    need_root()
    known = context(ctx)
    others = sorted({one.host for one in known.site.registries.values()})
    if not (others and known.here("manager")):
        _need_registry(known)
    own = registry.here(known) and registry.usable(known)
    found: dict[str, int] = {}
    with exclusive(known):
        if own:
            _read(known)
        for host in others:
            known.say(f"Read {host}")
            with locked(of_manager(known)) as db:
                read_registry(of_manager(known), host)
                found[host] = sum(alive for _, alive in database.known(db, host).values())
    rows = _rows(known) if own else []
    errors = _errors(rows, _LOGS)
    for host, count in found.items():
        if not count:
            errors.append(
                Problem(f"{host}: no image of the site's project is found there", hint=_NAMED)
            )
    text = _said(
        "\n".join([f"{len(rows)} images.", *(f"{n} in {host}." for host, n in found.items())])
    )
    emit({"images": rows, "registries": found}, text=text, errors=errors)


@command.command(**example("backendai-ctl image remove stable/python:3.13-debian13"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@dry_run_option
@json_option
@click.pass_context
def remove(ctx: click.Context, names: tuple[str, ...], dry_run: bool) -> None:
    """Remove images from the registry of this host and from the manager.

    None is removed while a session uses one of them. An image of the release stays away until `image load`
    brings it back. `image prune` frees the space. On a site of several management nodes, run it on each.
    """
    need_root()
    known = context(ctx)
    _need_registry(known)
    operations.remove(known, names, dry_run=dry_run)
    word = "Would remove" if dry_run else "Removed"
    emit({"removed": sorted(set(names))}, text=_said(f"{word} {', '.join(sorted(set(names)))}."))


@command.command(
    **example("backendai-ctl image prune --dry-run\nbackendai-ctl image prune --node gpu1")
)
@click.option(
    "--node", "nodes", metavar="NODE", multiple=True, help="Prune the engine of this node instead."
)
@dry_run_option
@json_option
@click.pass_context
def prune(ctx: click.Context, nodes: tuple[str, ...], dry_run: bool) -> None:
    """Free the space of images that the registry no longer has, in it and in this host's engine.

    Of the engine, only images of the site's registry that no container uses are removed; away from the first
    management node, only those replaced by a newer image of the same name. On the first management node,
    --node has the agents of other nodes remove what was removed from the registry.
    """
    need_root()
    if nodes and dry_run:
        raise BadRequest("--dry-run is for this host's own engine", hint="omit --dry-run or --node")
    known = context(ctx)
    done = (
        operations.prune_nodes(known, nodes) if nodes else operations.prune(known, dry_run=dry_run)
    )
    word = "Would remove" if dry_run else "Removed"

    def text(console: Console) -> None:
        if not nodes:
            console.print(f"{word} {done.blobs} blobs of the registry ({decimal(done.freed)}).")
        console.print(f"{word} {len(done.images)} images of engines.")
        for name in done.images:
            console.print(f"  {name}")
        for name in done.kept:
            console.print(f"Kept {name}: a container has it.")

    data = {"blobs": done.blobs, "freed": done.freed, "images": done.images, "kept": done.kept}
    emit(data, text=text)


@command.command(
    **example(
        "backendai-ctl image pull\n"
        "backendai-ctl image pull --node gpu1 --node gpu2 stable/python:3.13-debian13"
    )
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--node", "nodes", metavar="NODE", multiple=True, help="Pull there instead.")
@json_option
@click.pass_context
def pull(ctx: click.Context, names: tuple[str, ...], nodes: tuple[str, ...]) -> None:
    """Have this host's agent, or those of nodes, fetch images ahead of the first session.

    Without NAME all that the manager knows; one of another registry by its whole name. Run it on a
    management node: agents obey the manager alone, and get its login with each order.
    """
    need_root()
    rows: list[dict[str, Any]] = []
    errors = []
    for one in operations.pull(context(ctx), nodes, names):
        how = f"failed: {one.why}" if one.why else "is there"
        show(_said(f"{one.image} on {one.node}: {how}"))
        rows.append({"node": one.node, "image": one.image, "ok": not one.why})
        if one.why:
            hint = "see there: backendai-ctl logs agent docker"
            errors.append(Problem(f"{one.image} on {one.node}: {one.why}", hint=hint))
    emit({"images": rows}, errors=errors)


_LOGS = "see: backendai-ctl logs registry manager"
_NAMED = "see url, project, ca and password_file in [registries] of the site file"
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
            hint='set mode = "site-ca" in [tls], or name a registry of your own: [registries.NAME]',
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
