"""Make the volumes of the site file ready: folders of this host, and NFS mounts."""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Pending
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.platform.run import run
from backendai_ctl.storage import access, mounts, refusals, rpcbind, volumes
from backendai_ctl.topology import places
from backendai_ctl.topology.places import Place


class CreateVolumes(Step):
    name = "create-volumes"
    title = "Make volumes ready"
    timeout = 180

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return facts.on_volumes()

    def check(self, ctx: Context) -> list[Change]:
        found = self.unit_changes(ctx)
        for place in mounts.remote(ctx):
            if not mounts.mounted(place):
                found.append(Change(str(place.path), f"mount {place.source}"))
        if rpcbind.to_mask(ctx):
            found.append(Change("rpcbind", "mask it: NFS 4 does not need it"))
        for place in places.places(ctx):
            if not place.remote or mounts.mounted(place):
                found += volumes.changes(ctx, place)
        return found

    def apply(self, ctx: Context) -> None:
        self.write_units(ctx)
        if rpcbind.to_mask(ctx):
            rpcbind.mask(ctx)
        for place in sorted(places.places(ctx), key=lambda place: place.remote):
            ready(ctx, place)  # those of this host first: they never wait for a server

    def unit_changes(self, ctx: Context) -> list[Change]:
        """What differs in unit files."""
        found = [Change(str(file.path), "write it") for file in _files(ctx) if not file.same]
        found += [Change(str(path), "remove it") for path in _unwanted(ctx)]
        return found + [
            Change(mounts.automount_name(place), "mount the volume when it is used")
            for place in mounts.remote(ctx)
            if not mounts.enabled(place)
        ]

    def write_units(self, ctx: Context) -> None:
        """Make unit files what they should be, and enable them."""
        for place in mounts.remote(ctx):
            if not mounts.waited_for(place):
                refusals.in_the_way(place)
        gone = _unwanted(ctx)
        for suffix in (".mount", ".automount"):  # an .automount detaches what is mounted on it
            for path in gone:
                if path.suffix == suffix:
                    _stop(path.name)
        units.remove([units.File(path, "") for path in gone])
        if any(not file.same for file in _files(ctx)):
            units.write(_files(ctx))
        off = [mounts.automount_name(p) for p in mounts.remote(ctx) if not mounts.enabled(p)]
        if off:
            systemd.systemctl("--no-reload", "enable", *off)
            if systemd.booted():
                systemd.systemctl("daemon-reload")
                # Where a container has none, services mount their volumes just the same.
                run(["systemctl", "start", *off], timeout=mounts.MOUNT_TIMEOUT)

    def undo(self, ctx: Context) -> None:
        """Takes back mounts and units. Folders are data."""
        for place in mounts.remote(ctx):
            _stop(mounts.unit_name(place))
            _stop(mounts.automount_name(place))
        units.remove([file for file in _files(ctx) if file.path.exists()])
        rpcbind.unmask(ctx)


def ready(ctx: Context, place: Place) -> None:
    """Mount a volume if it is remote, and prepare it. Pending if its server does not answer."""
    fresh = place.remote and not mounts.mounted(place)
    if fresh:
        mounts.mount(place)
    volumes.prepare(ctx, place)
    if fresh:
        access.must_pass(ctx, place)


def _files(ctx: Context) -> list[units.File]:
    remote = mounts.remote(ctx)
    each = [file(place) for place in remote for file in (mounts.unit, mounts.automount)]
    return [*each, *mounts.drop_ins(ctx)]


def _unwanted(ctx: Context) -> list[Path]:
    """Units and drop-ins of volumes that are not in the site file any more."""
    wanted = {file.path for file in _files(ctx)}
    patterns = ("*.automount", "*.mount", "*.d/volumes.conf", mounts.RETRY_UNIT)
    found = [path for pattern in patterns for path in units.FOLDER.glob(pattern)]
    return sorted(p for p in found if p not in wanted and p.is_file() and _is_ours(p))


def _is_ours(path: Path) -> bool:
    return path.read_text("utf-8", errors="replace").startswith(files.OURS)


def _stop(name: str) -> None:
    """Stop a mount or automount. Pending while somebody uses it."""
    if name.endswith(".automount"):
        systemd.systemctl("--no-reload", "disable", name)
    if systemd.booted():
        done = run(["systemctl", "stop", name], timeout=mounts.MOUNT_TIMEOUT + 15)
        if done.returncode:
            raise Pending(
                f"{name} cannot be unmounted: {done.tail}",
                hint="stop what uses it: fuser -vm; then run: backendai-ctl reconfigure",
            )
