"""Serve what this node keeps to the nodes that need it: an exports file, NFS 4 alone."""

from __future__ import annotations

from backendai_ctl import accounts
from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Pending
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.platform.run import check as checked
from backendai_ctl.storage import exports, rpcbind
from backendai_ctl.topology import places

_TIMEOUT = 60  # seconds for exportfs: it looks up the names of nodes


class ExportVolumes(Step):
    name = "export-volumes"
    title = "Serve volumes to the other nodes"
    needs = ("create-volumes",)
    components = ("storage-proxy",)
    timeout = 180

    def check(self, ctx: Context) -> list[Change]:
        found = [
            Change(str(file.path), "write it" if file.text else "remove it")
            for file in _files(ctx)
            if (files.read(file.path) or "") != file.text
        ]
        if places.served(ctx) and not _runs():
            found.append(Change(exports.UNIT, "start it, now and at every boot"))
        if rpcbind.to_mask(ctx):
            found.append(Change("rpcbind", "mask it: NFS 4 does not need it"))
        return found

    def apply(self, ctx: Context) -> None:
        if places.served(ctx):
            accounts.owner(ctx.facts)  # root of other nodes becomes it
        changed = [file for file in _files(ctx) if _put(file)]
        if not places.served(ctx):
            if changed and exports.SERVER.exists():
                _reload()
            return
        if not exports.SERVER.exists():
            raise Pending(
                f"{exports.FILE} is written, but this host has no NFS server",
                hint="run: apt install nfs-kernel-server; then: backendai-ctl reconfigure",
            )
        if rpcbind.to_mask(ctx):
            rpcbind.mask(ctx)
        if not systemd.booted():
            systemd.systemctl("--no-reload", "enable", exports.UNIT)
            raise Pending(
                "no systemd is running here: the NFS server starts at the next boot",
                hint="boot this system",
            )
        if not _runs() or any(file.path == exports.SETTINGS for file in changed):
            # Clients only notice a pause: they send again what was not answered.
            systemd.systemctl("enable", exports.UNIT)
            systemd.systemctl("restart", exports.UNIT)
        _reload()

    def undo(self, ctx: Context) -> None:
        """Serves no more. Volumes are data, and the server stays: the operator's exports need it."""
        gone = [file.path for file in _files(ctx) if file.path.exists()]
        for path in gone:
            path.unlink()
        if gone and exports.SERVER.exists():
            _reload()
        rpcbind.unmask(ctx)


def _files(ctx: Context) -> list[units.File]:
    return [
        units.File(exports.SETTINGS, exports.settings(ctx)),
        units.File(exports.FILE, exports.text(ctx)),
    ]


def _put(file: units.File) -> bool:
    if not file.text:
        there = file.path.exists()
        file.path.unlink(missing_ok=True)
        return there
    return files.write(file.path, file.text, mode=file.mode)


def _runs() -> bool:
    """Whether the server runs, as far as that can be told here."""
    return exports.SERVER.exists() and (not systemd.booted() or systemd.is_active(exports.UNIT))


def _reload() -> None:
    if systemd.booted() and systemd.is_active(exports.UNIT):
        checked([str(exports.EXPORTFS), "-ra"], timeout=_TIMEOUT, hint=f"see {exports.FILE}")
