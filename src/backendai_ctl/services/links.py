"""What joins containers of one session on several nodes: a socket for the agent, and what it starts.

The program is backendai_serve.links; it is told here who is a node of the site.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.firewall import ruleset
from backendai_ctl.platform import files, systemd, units

TAG = "backendai-links"  # of its lines in the journal
UNIT = f"{TAG}.socket"
SOCKET = Path("/run/backendai-links.sock")
TIMEOUT = 15  # seconds for an answer
_SOCKET = """\
[Unit]
Description=Backend.AI: the agent has containers joined to those of their sessions on other nodes
PartOf=backendai.target

[Socket]
ListenStream={socket}
SocketUser=root
SocketGroup={group}
SocketMode=0660
Accept=yes

[Install]
WantedBy=backendai.target
"""
# It enters the network of a container, and makes devices there and on the host. IP addresses are not
# filtered: VXLAN's own socket would be.
_SERVICE = """\
[Unit]
Description=Backend.AI: join a container to those of its session on other nodes
CollectMode=inactive-or-failed

[Service]
ExecStart={python} -I -m backendai_serve.links {settings}
StandardInput=socket
StandardOutput=socket
StandardError=journal
SyslogIdentifier={tag}
RuntimeMaxSec=60
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=net
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
MemoryMax=256M
TasksMax=8
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
"""


def settings(ctx: Context) -> Path:
    return ctx.paths.config / "links.json"


def wanted(ctx: Context) -> list[units.File]:
    """The units, and who is a node; Pending while a name of a node has no address."""
    own = ctx.site.agent.address
    nodes = sorted({own, *ruleset.nodes(ctx)})
    known = {"local": own, "nodes": nodes, "port": ctx.site.agent.cluster_port}
    return [
        units.File(settings(ctx), json.dumps(known) + "\n", mode=0o600),
        units.File(
            units.FOLDER / UNIT,
            files.HEAD + units.filled(_SOCKET, socket=SOCKET, group=ctx.facts.user),
        ),
        units.File(
            units.FOLDER / UNIT.replace(".socket", "@.service"),
            files.HEAD
            + units.filled(_SERVICE, python=ctx.paths.python, settings=settings(ctx), tag=TAG),
        ),
    ]


def changes(ctx: Context) -> list[Change]:
    """What is to be done until the agent may ask."""
    found = units.stale(wanted(ctx), UNIT)
    if not found and systemd.booted() and not systemd.is_active(UNIT):
        found.append(Change(UNIT, "start it, now and at every boot"))
    return found


def start(ctx: Context) -> None:
    """Write the files and have systemd listen, now and at every boot."""
    units.write(wanted(ctx))
    systemd.systemctl("--no-reload", "enable", UNIT)
    if systemd.booted():
        systemd.forget_failures([UNIT])
        systemd.systemctl("restart", UNIT)


def stop(ctx: Context) -> None:
    """Take it back. Containers that are joined stay so."""
    names = (UNIT, UNIT.replace(".socket", "@.service"))
    made = [units.File(path, "") for path in (settings(ctx), *(units.FOLDER / n for n in names))]
    if (units.FOLDER / UNIT).exists():
        if systemd.booted():
            systemd.systemctl("stop", UNIT)
        systemd.systemctl("--no-reload", "disable", UNIT)
    units.remove(made)


def able(path: Path) -> str:
    """Why this node could not join a container; empty if it could. OSError if nobody answers."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(TIMEOUT)
        asked.connect(str(path))
        asked.sendall(b"{}")
        asked.shutdown(socket.SHUT_WR)
        said = b""
        while more := asked.recv(4096):
            said += more
    return "" if said == b"ok" else said.decode("utf-8", "replace") or "no answer"
