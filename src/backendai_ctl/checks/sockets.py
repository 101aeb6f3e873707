"""Who listens on which TCP port of this host, as the kernel tells."""

from __future__ import annotations

import ipaddress
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_LISTEN = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True)
class Socket:
    """A listening socket. `unit` and `program` are empty if its process is not found."""

    address: str
    port: int
    unit: str = ""
    program: str = ""
    pid: int = 0

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def holder(self) -> str:
        """For people."""
        return f"{self.program} (process {self.pid}, {self.unit or 'no unit'})"


def listening(proc: Path = PROC) -> list[Socket]:
    """All listening TCP sockets; whose they are needs root."""
    found = {}
    for name in ("tcp", "tcp6"):
        table = proc / "net" / name
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for line in lines:
            columns = line.split()
            if columns[3] == _LISTEN:
                found[columns[9]] = _local(columns[1])
    owners = _owners(proc, set(found))
    sockets = []
    for inode, (address, port) in found.items():
        pid = owners.get(inode, 0)
        sockets.append(Socket(address, port, _unit(proc, pid), _program(proc, pid), pid))
    return sorted(sockets, key=lambda socket: (socket.port, socket.address))


def _local(column: str) -> tuple[str, int]:
    """An address in the kernel's form: words of the machine's byte order, in hexadecimal."""
    address, _, port = column.partition(":")
    words = struct.iter_unpack("=I", bytes.fromhex(address))
    packed = b"".join(struct.pack(">I", word) for (word,) in words)
    plain = ipaddress.ip_address(packed)
    mapped = plain.ipv4_mapped if isinstance(plain, ipaddress.IPv6Address) else None
    return str(mapped or plain), int(port, 16)


def _owners(proc: Path, inodes: set[str]) -> dict[str, int]:
    """A process that holds each socket; the one that opened it first if several do."""
    owners: dict[str, int] = {}
    pids = sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    for pid in pids:
        try:
            handles = list((proc / str(pid) / "fd").iterdir())
        except OSError:
            continue  # gone, or not ours to see
        for handle in handles:
            try:
                match = _SOCKET.fullmatch(os.readlink(handle))
            except OSError:
                continue
            # PID 1 keeps sockets it hands to services: the service is whom we want.
            if match and match[1] in inodes and owners.get(match[1], 1) == 1:
                owners[match[1]] = pid
    return owners


def _unit(proc: Path, pid: int) -> str:
    """The service or socket unit whose control group the process is in."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return ""
    path = next((line.partition("::")[2] for line in lines if line.startswith("0::")), "")
    units = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
    return units[-1] if units else ""


def _program(proc: Path, pid: int) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return "a process"
