"""backendai-ctl storage: volumes, their mounts, and serving them to other nodes."""

from __future__ import annotations

from dataclasses import asdict
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
    table,
)
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.operations.reconfigure import exclusive
from backendai_ctl.platform.text import status_word
from backendai_ctl.platform.together import together
from backendai_ctl.steps.create_volumes import CreateVolumes, ready
from backendai_ctl.steps.export_volumes import ExportVolumes
from backendai_ctl.storage import access, exports, mounts
from backendai_ctl.storage.volumes import VERSION, Look, look
from backendai_ctl.topology.places import Place, places, served

_LOOK = 3.0  # seconds
_CHECK = 60.0


@click.group(**example("backendai-ctl storage status"))
def command() -> None:
    """Volumes: the folders in which users' files live."""


@command.command(**example("backendai-ctl storage status --json"))
@json_option
@click.pass_context
def status(ctx: click.Context) -> None:
    """Show every volume of the site file: where it is, its mount, its space.

    Exit status 1: one of them cannot be used.
    """
    known = context(ctx)
    jobs = {place.name: lambda p=place: _look(known, p) for place in places(known)}
    found = together(jobs, timeout=_LOOK + 1, late=Look("hangs", error="no answer in time"))
    rows = [_row(place, found[place.name]) for place in places(known)]

    def text(console: Console) -> None:
        shown = table("VOLUME", "KIND", "PATH", "SOURCE", "MOUNTED", "FREE", "STATE")
        for row in rows:
            shown.add_row(
                row["name"],
                row["kind"],
                row["path"],
                row["source"] or "-",
                {True: "yes", False: "no", None: "-"}[row["mounted"]],
                f"{decimal(row['free'])} of {decimal(row['size'])}" if row["size"] else "-",
                status_word("ready" if row["ok"] else row["message"], row["ok"]),
            )
        console.print(shown)

    hint = "run: backendai-ctl storage check {}"
    errors = [
        Problem(f"{row['name']}: {row['message']}", hint=hint.format(row["name"]))
        for row in rows
        if not row["ok"]
    ]
    emit({"volumes": rows}, text=text, errors=errors)


@command.command(**example("backendai-ctl storage mount\nbackendai-ctl storage mount volume1"))
@click.argument("name", required=False)
@json_option
@dry_run_option
@click.pass_context
def mount(ctx: click.Context, name: str | None, dry_run: bool) -> None:
    """Mount the NFS volumes that are not mounted, or only the volume NAME, and prepare them."""
    need_root()
    known = context(ctx)
    chosen = [_find(known, name)] if name else mounts.remote(known)
    local = [place.name for place in chosen if not place.remote]
    if local:
        raise BadRequest(
            f"volume {local[0]} is a folder of this host", hint="nothing has to be mounted"
        )
    todo = [place for place in chosen if not mounts.mounted(place)]
    if not dry_run and todo:
        with exclusive(known):
            if CreateVolumes().unit_changes(known):
                CreateVolumes().write_units(known)
            for place in todo:
                ready(known, place)
    names = [f"{place.path} from {place.source}" for place in todo]
    verb = "Would mount" if dry_run else "Mounted"
    emit(
        {"mounted": names},
        text=lambda console: console.print(
            "\n".join(f"{verb} {line}" for line in names) or "Nothing to mount."
        ),
    )


@command.command(**example("backendai-ctl storage export --dry-run\nbackendai-ctl storage export"))
@json_option
@dry_run_option
@click.pass_context
def export(ctx: click.Context, dry_run: bool) -> None:
    """Serve the volumes that this node keeps to the other nodes, by NFS 4.

    These are the volumes with kind = "nfs" and server = this node. `reconfigure` does the same.
    """
    need_root()
    known = context(ctx)
    if not served(known):
        raise BadRequest(
            "no other node needs a volume of this host",
            hint='describe it: [storage.volumes.NAME] kind = "nfs", server = "NODE"',
        )
    changes = ExportVolumes().check(known)
    if changes and not dry_run:
        with exclusive(known):
            ExportVolumes().apply(known)
    rows = [{"what": change.what, "how": change.how} for change in changes]
    line = exports.text(known)

    def text(console: Console) -> None:
        verb = "Would: " if dry_run else "Done: "
        console.print(
            "\n".join(f"{verb}{row['what']}: {row['how']}" for row in rows) or "Nothing to change."
        )
        console.print(f"\n{exports.FILE}:\n{line}", end="")

    data = {"file": str(exports.FILE), "text": line, "changes": rows}
    emit(data, text=text)


@command.command(**example("backendai-ctl storage check\nbackendai-ctl storage check volume1"))
@click.argument("name", required=False)
@json_option
@click.pass_context
def check(ctx: click.Context, name: str | None) -> None:
    """Test all volumes, or the volume NAME, in the way the services use them.

    Writes, reads, renames and locks files as the user of the services; checks who owns these files on
    the server, and to which user the server maps root. Run it on each node. Exit status 1: a test failed.
    """
    need_root()
    known = context(ctx)
    chosen = [_find(known, name)] if name else places(known)
    found = {"": access.of_host(known), **access.of_volumes(known, chosen, _CHECK)}
    rows = [
        {"volume": volume, **asdict(seen)} for volume, several in found.items() for seen in several
    ]
    errors = [
        Problem(
            f"{row['volume'] or 'this host'}: {row['name']}: {row['message']}", hint=row["hint"]
        )
        for row in rows
        if row["level"] == "fail"
    ]

    def text(console: Console) -> None:
        shown = table("VOLUME", "WHAT", "STATE", f"SEEN FROM {access.node(known)}")
        for row in rows:
            colour = {"ok": True, "fail": False}.get(row["level"])
            shown.add_row(
                row["volume"] or "-", row["name"], status_word(row["level"], colour), row["message"]
            )
        console.print(shown)
        for row in rows:
            if row["level"] != "ok" and row["hint"]:
                console.print(f"hint: {row['volume'] or 'this host'}: {row['hint']}")

    emit({"node": access.node(known), "findings": rows}, text=text, errors=errors)


def _look(ctx: Context, place: Place) -> Look:
    """A look wakes the .automount of what is not mounted, and then waits for its server."""
    if place.remote and not mounts.mounted(place):
        return Look("folder")
    return look(ctx, place.path, _LOOK)


def _find(ctx: Context, name: str) -> Place:
    for place in places(ctx):
        if place.name == name:
            return place
    raise BadRequest(
        f"no volume {name!r} in the site file",
        hint=f"volumes are: {', '.join(ctx.site.storage.volumes)}",
    )


def _row(place: Place, found: Look) -> dict[str, Any]:
    here = not place.remote or mounts.mounted(place)  # else it is the disk below the mount
    wrong = _wrong(place, found)
    return {
        "name": place.name,
        "kind": place.volume.kind,
        "path": str(place.path),
        "source": place.source,
        "mounted": mounts.mounted(place) if place.remote else None,
        "clients": list(place.clients),
        "size": found.size if here else 0,
        "free": found.free if here else 0,
        "version": found.version,
        "ok": not wrong,
        "message": wrong,
    }


def _wrong(place: Place, found: Look) -> str:
    """Why it cannot be used; empty if it can."""
    if found.error:
        return found.error
    if place.remote and not mounts.mounted(place):
        return "not mounted"
    if found.kind != "folder":
        return "missing" if found.kind == "absent" else f"is a {found.kind}"
    if found.read_only:
        return "read-only"
    if not found.usable:
        return "not writable for the services"
    return "" if found.version == VERSION else "no version.txt"
