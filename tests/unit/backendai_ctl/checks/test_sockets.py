"""Promises of backendai_ctl.checks.sockets, on this machine's own kernel."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from backendai_ctl.checks.sockets import Socket, listening


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_listening_socket_is_found_with_its_process(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        (found,) = [x for x in listening() if x.port == port]
    assert (found.address, found.pid) == (address, os.getpid())
    assert found.loopback
    assert not [x for x in listening() if x.port == port]


def test_a_service_is_named_by_its_control_group(tmp_path: Path) -> None:
    row = "  0: 0100007F:1F91 00000000:0000 0A 0:0 00:0 00000000 1100 0 4242 1 0\n"
    other = "  1: 0100007F:1F92 00000000:0000 01 0:0 00:0 00000000 1100 0 4243 1 0\n"
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text("  sl local_address ...\n" + row + other)
    for pid, unit in ((1, "init.scope"), (77, "backendai-manager.service")):
        (tmp_path / f"{pid}/fd").mkdir(parents=True)
        (tmp_path / f"{pid}/fd/9").symlink_to("socket:[4242]")
        (tmp_path / f"{pid}/comm").write_text("python3.13\n")
        (tmp_path / f"{pid}/cgroup").write_text(f"1:cpu:/\n0::/system.slice/{unit}\n")
    assert listening(tmp_path) == [
        Socket("127.0.0.1", 8081, "backendai-manager.service", "python3.13", 77)
    ]
