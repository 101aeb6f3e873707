"""Serving this node's volumes to the nodes that need them, by the kernel's NFS server, version 4."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.platform import files
from backendai_ctl.topology.places import Place, served

FILE = Path("/etc/exports.d/backendai.exports")
SETTINGS = Path("/etc/nfs.conf.d/backendai.conf")
OTHERS = Path("/etc/exports")
UNIT = "nfs-server.service"
SERVER = Path("/usr/lib/systemd/system/nfs-server.service")
EXPORTFS = Path("/usr/sbin/exportfs")
# NFS 4 needs one port and none of rpcbind, rpc.statd and lockd.
_ONLY_V4 = f"""{files.HEAD}[nfsd]
vers2=n
vers3=n
vers4=y
vers4.2=y
udp=n
tcp=y
"""


def text(ctx: Context) -> str:
    """What exports(5) shall say; empty if no other node needs anything of this host.

    Users keep their numbers. Root of a node becomes the services' user: its container engine has to
    pass through folders that are closed to others, and gets no rights beyond that user's.
    """
    rows = [_row(ctx, place) for place in served(ctx)]
    return files.HEAD + "".join(rows) if rows else ""


def options(ctx: Context, place: Place) -> str:
    """`fsid` follows from the volume's name: clients keep their handles when the disk is another."""
    uid, gid = ctx.numbers
    mapped = f"root_squash,anonuid={uid},anongid={gid}"
    return f"rw,sync,no_subtree_check,sec=sys,{mapped},fsid={fsid(place.name)}"


def fsid(name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"backendai-volume:{name}")


def settings(ctx: Context) -> str:
    """What nfs.conf(5) shall say: version 4 alone, unless somebody else serves something here."""
    return "" if not served(ctx) or others() else _ONLY_V4


def others() -> bool:
    """Whether the operator exports something on this host."""
    found = [OTHERS, *(p for p in sorted(FILE.parent.glob("*.exports")) if p != FILE)]
    return any(_lines(files.read(path) or "") for path in found)


def _row(ctx: Context, place: Place) -> str:
    given = options(ctx, place)
    clients = (ctx.site.nodes[name].address for name in place.clients)
    return f"{place.path} " + " ".join(f"{_client(c)}({given})" for c in clients) + "\n"


def _client(address: str) -> str:
    return f"{address}/128" if ":" in address else address


def _lines(content: str) -> list[str]:
    return [line for line in content.splitlines() if re.match(r"\s*[^#\s]", line)]
