"""Checks of volumes. None hangs on a dead server: the kernel's tables, and trials with a timeout."""

from __future__ import annotations

import os
from dataclasses import replace

from backendai_ctl.context import Context
from backendai_ctl.platform import files
from backendai_ctl.result import Result, fail, ok, skip, warn, worst
from backendai_ctl.steps.export_volumes import ExportVolumes
from backendai_ctl.storage import access, exports, mounts
from backendai_ctl.storage.volumes import look
from backendai_ctl.topology import layout, places
from backendai_ctl.topology.places import Place

TRIAL = 16.0  # seconds
_NONE = "no service here uses volumes"


def mounted(ctx: Context) -> Result:
    """Every remote volume is mounted, from where the site file says, and its server answers."""
    if not _used(ctx):
        return skip(_NONE)
    remote = mounts.remote(ctx)
    if not remote:
        return skip("all volumes are folders of this host")
    return worst([_mounted(ctx, p) for p in remote], fine=", ".join(p.source for p in remote))


def ids(ctx: Context) -> Result:
    """The numbers of user and containers are the site's."""
    if not _used(ctx):
        return skip(_NONE)
    found = access.of_host(ctx)
    return worst(found, fine="; ".join(seen.message for seen in found))


def use(ctx: Context) -> Result:
    """The services' user writes, reads, renames and locks in every volume, under its own number."""
    if not _used(ctx):
        return skip(_NONE)
    if os.geteuid():
        return skip("root alone can become the services' user: run it with sudo")
    able = [p for p in places.places(ctx) if not p.remote or mounts.mounted(p)]
    able = [p for p in able if p.remote or p.path.is_dir()]
    if not able:
        return skip("no volume is there")
    found = access.of_volumes(ctx, able, TRIAL)
    results = [
        replace(seen, message=f"{volume}: {seen.name}: {seen.message}")
        for volume, several in found.items()
        for seen in several
    ]
    return worst(results, fine=f"{', '.join(found)}: {ctx.facts.user} writes, renames and locks")


def served(ctx: Context) -> Result:
    """What other nodes need of this one is exported as the site file says."""
    mine = places.served(ctx)
    if not mine:
        return skip("no other node needs a volume of this host")
    if (files.read(exports.FILE) or "") != exports.text(ctx):
        return fail(f"{exports.FILE} is not what it should be", "run: backendai-ctl storage export")
    changes = ExportVolumes().check(ctx)
    if changes:
        saw = "; ".join(str(change) for change in changes)
        return fail(saw, "run: backendai-ctl storage export")
    return ok("; ".join(f"{p.name} to {', '.join(p.clients)}" for p in mine))


def shared(ctx: Context) -> Result:
    """A folder of one host is not the same folder on another."""
    proxies = layout.running(ctx.site, ctx.facts, "storage-proxy")
    agents = layout.running(ctx.site, ctx.facts, "agent")
    if not ctx.node:
        return skip("this host is all of the site")
    others = [name for name in agents if proxies != [name]]
    volumes = ctx.site.storage.volumes.items()
    local = [name for name, volume in volumes if volume.kind == "local"]
    if not others or not local:
        return ok("every node sees the same files")
    return warn(
        f"{', '.join(local)}: a folder of each host for itself: sessions on {', '.join(others)} do "
        f"not see what the storage proxy on {', '.join(proxies)} keeps",
        f'set kind = "nfs", server = "{proxies[0]}" in [storage.volumes.{local[0]}]',
    )


def _mounted(ctx: Context, place: Place) -> Result:
    name = mounts.unit_name(place)
    if not mounts.mounted(place):
        saw = f"{place.name} ({place.source}) is not mounted at {place.path}"
        return fail(saw, f"check {place.volume.server}; why: journalctl -u {name}")
    seen = look(ctx, place.path, 3.0)
    if seen.kind == "hangs":
        saw = f"{place.name}: {place.volume.server} does not answer"
        return fail(saw, f"see to {place.volume.server}; what waits goes on once it answers")
    return ok(place.source)


def _used(ctx: Context) -> bool:
    return any(ctx.here(name) for name in ctx.facts.on_volumes())
