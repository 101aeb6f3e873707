"""rpcbind: comes with nfs-common, listens on all addresses, and NFS 4 does not need it."""

from __future__ import annotations

import re
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.platform import files, systemd
from backendai_ctl.storage import exports
from backendai_ctl.storage.mounts import only_v4, remote
from backendai_ctl.topology import places

UNITS = ("rpcbind.socket", "rpcbind.service")
INSTALLED = Path("/usr/lib/systemd/system/rpcbind.socket")
FSTAB = Path("/etc/fstab")
NIS = Path("/usr/lib/systemd/system/ypbind.service")


def flag(ctx: Context) -> Path:
    """Says that we masked it: unmasked by the operator, it stays so."""
    return ctx.paths.ctl / "rpcbind-masked"


def unneeded(ctx: Context) -> bool:
    """Whether it is here for nothing but NFS volumes of ours, all of version 4."""
    volumes = remote(ctx)
    served = places.served(ctx)
    others = exports.others() or NIS.exists() or _mounts_of_operator()
    return bool(
        (volumes or served)
        and INSTALLED.exists()
        and all(only_v4(place) for place in volumes)
        and not others
    )


def to_mask(ctx: Context) -> bool:
    return unneeded(ctx) and not flag(ctx).exists()


def mask(ctx: Context) -> None:
    systemd.systemctl("--no-reload", "mask", *UNITS)
    if systemd.booted():
        systemd.systemctl("daemon-reload")
        systemd.systemctl("stop", *UNITS)
    files.write(flag(ctx), "", mode=0o644)


def unmask(ctx: Context) -> None:
    if flag(ctx).exists():
        systemd.systemctl("--no-reload", "unmask", *UNITS)
        if systemd.booted():
            systemd.systemctl("daemon-reload")
        flag(ctx).unlink(missing_ok=True)


def _mounts_of_operator() -> bool:
    lines = (files.read(FSTAB) or "").splitlines()
    return any(re.match(r"\s*[^#\s]\S*\s+\S+\s+nfs\s", line) for line in lines)
