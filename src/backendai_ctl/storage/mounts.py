"""Mount units of NFS volumes.

Nothing waits for them but the services that use volumes: no default dependencies, so neither boot
nor remote-fs.target stands still for a dead server. These services ask for the mount each time
they are started, do not start without it (they would fill the folder below it), and systemd tries
them again.
"""

from __future__ import annotations

import re
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.steps import units
from backendai_ctl.storage.volumes import Place, places
from backendai_ctl.system import systemd
from backendai_ctl.system.run import run

WANTED_BY = "multi-user.target"
MOUNT_LIMIT = 30  # seconds until an attempt counts as failed
USERS = ("agent", "storage-proxy")
HELPER = Path("/usr/sbin/mount.nfs")
_UNIT = """\
# Written by backendai-ctl from site.toml; changes here are lost at its next run.
[Unit]
Description=Backend.AI volume {name}
DefaultDependencies=no
Wants=network-online.target
After=network-online.target
Before=umount.target
Conflicts=umount.target

[Mount]
What={source}
Where={path}
Type=nfs
Options={options}
TimeoutSec={limit}

[Install]
WantedBy={wanted_by}
"""
_DROP_IN = """\
# Written by backendai-ctl from site.toml; changes here are lost at its next run.
[Unit]
Wants={units}
After={units}

[Service]
{checks}
"""


def remote(ctx: Context) -> list[Place]:
    return [place for place in places(ctx) if place.remote]


def unit_name(place: Place) -> str:
    """As `systemd-escape --path --suffix=mount` says."""
    text = re.sub(r"/+", "/", str(place.path)).strip("/")
    escaped = [_escape(c, first=i == 0) for i, c in enumerate(text)]
    return f"{''.join(escaped)}.mount"


def unit(place: Place) -> units.File:
    text = _UNIT.format(
        name=place.name,
        source=place.source,
        path=place.path,
        options=place.volume.options,
        limit=MOUNT_LIMIT,
        wanted_by=WANTED_BY,
    )
    return units.File(units.FOLDER / unit_name(place), text)


def drop_ins(ctx: Context) -> list[units.File]:
    """What keeps services from starting without their volumes."""
    found = remote(ctx)
    if not found:
        return []
    text = _DROP_IN.format(
        units=" ".join(unit_name(place) for place in found),
        checks="\n".join(f"ExecStartPre=/usr/bin/mountpoint -q {place.path}" for place in found),
    )
    return [
        units.drop_in(ctx.facts.components[name].unit, "volumes.conf", text)
        for name in USERS
        if ctx.here(name)
    ]


def enabled(place: Place) -> bool:
    return (units.FOLDER / f"{WANTED_BY}.wants" / unit_name(place)).is_symlink()


def mounted(place: Place) -> bool:
    """By the kernel's table: that does not hang."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return any(line.split(" ")[4] == str(place.path) for line in table)


def mount(place: Place) -> None:
    """Mount it now; Pending if that fails."""
    if not systemd.booted():
        raise Pending(
            f"volume {place.name}: no systemd is running here, it is mounted at the next boot",
            hint="boot this system",
        )
    if not HELPER.exists():
        raise Pending(
            f"volume {place.name}: {HELPER} is not installed", hint="run: apt install nfs-common"
        )
    name = unit_name(place)
    run(["systemctl", "reset-failed", name], limit=MOUNT_LIMIT)
    done = run(["systemctl", "start", name], limit=MOUNT_LIMIT + 15)
    if done.returncode:
        raise Pending(
            f"volume {place.name} ({place.source}): {_why(name)}",
            hint=f"see to the NFS server, then run: backendai-ctl storage mount {place.name}",
        )


def _why(name: str) -> str:
    """Why a mount failed just now, in the words of mount if it had time to say any."""
    if systemd.properties(name, ["Result"]).get("Result") == "timeout":
        return f"its server did not answer within {MOUNT_LIMIT} s"
    said = run(["journalctl", "-u", name, "-b", "-n", "20", "-o", "cat"]).stdout.splitlines()
    return next((line for line in reversed(said) if line.startswith("mount")), "not mounted")


def only_v4(place: Place) -> bool:
    """Whether its options rule out NFS 3, which alone needs rpcbind."""
    return bool(re.search(r"(^|,)(nfs)?vers=4(\.[0-9])?(,|$)", place.volume.options))


def _escape(character: str, *, first: bool) -> str:
    if character == "/":
        return "-"
    if re.fullmatch(r"[A-Za-z0-9:_.]", character) and not (first and character == "."):
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
