"""Serving a volume of this host to the site's other nodes, by the kernel's NFS server."""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Pending
from backendai_ctl.storage.volumes import Place
from backendai_ctl.system import files, systemd
from backendai_ctl.system.run import check

FOLDER = Path("/etc/exports.d")
SERVER = Path("/usr/lib/systemd/system/nfs-server.service")
EXPORTFS = Path("/usr/sbin/exportfs")


def path(place: Place) -> Path:
    return FOLDER / f"backendai-{place.name}.exports"


def text(ctx: Context, place: Place) -> str:
    """The line of exports(5).

    Everyone is the services' user: all files are its own, and the container engine of a node, which
    is root there, gets no rights beyond it. BadRequest if the volume cannot be served.
    """
    if place.remote:
        raise BadRequest(
            f"volume {place.name} is on {place.source}", hint="export it on that machine"
        )
    if not ctx.site.network.allow:
        raise BadRequest(
            f"{ctx.paths.site_file}: [network] allow is empty: nobody may mount the volume",
            hint='name the networks of the nodes, such as allow = ["192.0.2.0/24"]',
        )
    uid, gid = ctx.owner
    options = f"rw,sync,no_subtree_check,sec=sys,all_squash,anonuid={uid},anongid={gid}"
    clients = " ".join(f"{network}({options})" for network in ctx.site.network.allow)
    return f"# Written by backendai-ctl storage export.\n{place.path} {clients}\n"


def export(ctx: Context, place: Place) -> bool:
    """Write the line and let the server read it; whether something changed.

    Pending if there is no server or no systemd: the line is written then.
    """
    changed = files.write(path(place), text(ctx, place), mode=0o644)
    if not SERVER.exists():
        raise Pending(
            f"{path(place)} is written, but this host has no NFS server",
            hint="run: apt install nfs-kernel-server",
        )
    _reload()
    return changed


def remove(place: Place) -> bool:
    """Serve it no more; whether it was served."""
    there = path(place).exists()
    path(place).unlink(missing_ok=True)
    if there and SERVER.exists():
        _reload()
    return there


def _reload() -> None:
    if not systemd.is_active("nfs-server.service"):
        raise Pending(
            "the NFS server is not running: it serves the volume once it is",
            hint="run: systemctl start nfs-server",
        )
    check([str(EXPORTFS), "-ra"], hint=f"see {FOLDER}")
