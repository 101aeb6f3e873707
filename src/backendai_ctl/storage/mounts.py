"""Mount units of NFS volumes.

Nothing waits for them but the services that use volumes. The .automount is what boots start: it asks
nobody, and mounts when somebody looks into the folder. Services require the mount itself
(RequiresMountsFor=), for without it they would fill the folder below; one that could not start for
lack of it is started by backendai-volumes@.service as soon as the server answers.
"""

from __future__ import annotations

import re
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.platform.run import run
from backendai_ctl.site.values import unit_of
from backendai_ctl.storage import refusals
from backendai_ctl.topology.places import Place, places

WANTED_BY = "multi-user.target"
MOUNT_TIMEOUT = 30  # seconds until an attempt counts as failed
RETRY = 10  # seconds between attempts for the sake of a service
TYPE = "backendai-nfs"  # mount(8) runs its helper, which the package of that name brings
HELPER = Path(f"/usr/sbin/mount.{TYPE}")
MOUNTS = Path("/proc/self/mountinfo")
RETRY_UNIT = "backendai-volumes@.service"
ALWAYS = "nofail,_netdev"  # systemd knows by itself; for people and for `umount -a -O _netdev`
# No default dependencies: neither boot nor remote-fs.target stands still for a dead server.
_MOUNT = """\
[Unit]
Description=Backend.AI volume {name}
DefaultDependencies=no
Wants=network-online.target
After=network-online.target
Before=umount.target
Conflicts=umount.target
StartLimitIntervalSec=0

[Mount]
What={source}
Where={path}
Type={type}
Options={options}
TimeoutSec={timeout}
"""
_AUTOMOUNT = """\
[Unit]
Description=Backend.AI volume {name}, mounted when it is used
DefaultDependencies=no
Before=umount.target
Conflicts=umount.target
# Not so in a container without it: services mount the volume just the same.
ConditionPathExists=/dev/autofs

[Automount]
Where={path}

[Install]
WantedBy={wanted_by}
"""
_DROP_IN = """\
[Unit]
RequiresMountsFor={paths}
OnFailure=backendai-volumes@%N.service
"""
# systemd starts no unit again whose dependency failed, whatever its Restart= says.
_RETRY = """\
[Unit]
Description=Start %i once its volumes are there
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/bin/systemctl start {mounts}
ExecStart=/usr/bin/systemctl start --no-block %i.service
TimeoutStartSec={timeout}
Restart=on-failure
RestartSec={retry}
RestartSteps=6
RestartMaxDelaySec=60
"""


def remote(ctx: Context) -> list[Place]:
    return [place for place in places(ctx) if place.remote]


def unit_name(place: Place) -> str:
    """As `systemd-escape --path --suffix=mount` says."""
    return f"{unit_of(place.path)}.mount"


def automount_name(place: Place) -> str:
    return unit_name(place).removesuffix(".mount") + ".automount"


def unit(place: Place) -> units.File:
    text = units.filled(
        _MOUNT,
        name=place.name,
        source=place.source,
        path=place.path,
        type=TYPE,
        options=f"{place.volume.options},{ALWAYS}",
        timeout=MOUNT_TIMEOUT,
    )
    return units.File(units.FOLDER / unit_name(place), files.HEAD + text)


def automount(place: Place) -> units.File:
    text = units.filled(_AUTOMOUNT, name=place.name, path=place.path, wanted_by=WANTED_BY)
    return units.File(units.FOLDER / automount_name(place), files.HEAD + text)


def drop_ins(ctx: Context) -> list[units.File]:
    """What keeps services from starting without their volumes, and starts them when they are there."""
    found = remote(ctx)
    if not found:
        return []
    text = units.filled(_DROP_IN, paths=" ".join(str(place.path) for place in found))
    retry = units.filled(
        _RETRY,
        mounts=" ".join(unit_name(place) for place in found),
        timeout=(MOUNT_TIMEOUT + 15) * len(found),
        retry=RETRY,
    )
    return [
        units.File(units.FOLDER / RETRY_UNIT, files.HEAD + retry),
        *(
            units.drop_in(ctx.facts.components[name].unit, "volumes.conf", files.HEAD + text)
            for name in ctx.facts.on_volumes()
            if ctx.here(name)
        ),
    ]


def enabled(place: Place) -> bool:
    return (units.FOLDER / f"{WANTED_BY}.wants" / automount_name(place)).is_symlink()


def mounted(place: Place) -> bool:
    return bool(now(place))


def now(place: Place) -> tuple[str, frozenset[str]] | tuple[()]:
    """Source and options of what is mounted at a volume's path; nothing if nothing is.

    By the kernel's table: that does not hang, and it wakes no .automount.
    """
    found: tuple[str, frozenset[str]] | tuple[()] = ()
    for line in _at(place):
        fields, _, rest = line.partition(" - ")
        kind, source, how = rest.split(" ")
        if kind != "autofs":
            found = source, frozenset((*fields.split(" ")[5].split(","), *how.split(",")))
    return found


def waited_for(place: Place) -> bool:
    """Whether something is mounted at the path, be it an .automount that waits."""
    return bool(_at(place))


def _at(place: Place) -> list[str]:
    """Lines of the kernel's table for a volume's path, what was mounted last at the end."""
    lines = MOUNTS.read_text("utf-8", errors="surrogateescape").splitlines()
    return [line for line in lines if line.split(" ")[4] == str(place.path)]


def mount(place: Place) -> None:
    """Mount it now; Pending if that fails."""
    if not systemd.booted():
        raise Pending(
            f"volume {place.name}: no systemd is running here, it is mounted at the next boot",
            hint="boot this system",
        )
    if not HELPER.exists():
        raise Pending(
            f"volume {place.name}: {HELPER} is not there",
            hint="install the package backendai-nfs, which roles bring",
        )
    refusals.unresolved(place)
    if not waited_for(place):
        refusals.in_the_way(place)
    name = unit_name(place)
    run(["systemctl", "reset-failed", name], timeout=MOUNT_TIMEOUT)
    done = run(["systemctl", "start", name], timeout=MOUNT_TIMEOUT + 15)
    if done.returncode:
        raise refusals.of_mount(place, _why(name))


def _why(name: str) -> str:
    """Why a mount failed just now, in the words of mount if it had time to say any."""
    if systemd.properties(name, ["Result"]).get("Result") == "timeout":
        return f"its server did not answer within {MOUNT_TIMEOUT} s"
    said = run(["journalctl", "-u", name, "-b", "-n", "20", "-o", "cat"]).stdout.splitlines()
    return next((line for line in reversed(said) if line.startswith("mount")), "not mounted")


def only_v4(place: Place) -> bool:
    """Whether its options rule out NFS 3, which alone needs rpcbind."""
    return bool(re.search(r"(^|,)(nfs)?vers=4(\.[0-9])?(,|$)", place.volume.options))
