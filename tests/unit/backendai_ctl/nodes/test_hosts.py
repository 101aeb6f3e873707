"""Lines between our markers come and go; every other line stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.nodes import hosts

BEFORE = "127.0.0.1\tlocalhost\n# mine\n10.1.1.1 other\n"


def test_lines_come_and_go(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(BEFORE)
    hosts.write(["10.0.0.1\ta"], file)
    hosts.write(["10.0.0.1\ta", "10.0.0.2\tb"], file)
    assert file.read_text() == f"{BEFORE}{hosts.BEGIN}\n10.0.0.1\ta\n10.0.0.2\tb\n{hosts.END}\n"
    assert not hosts.changed(["10.0.0.1\ta", "10.0.0.2\tb"], file)
    hosts.write([], file)
    assert file.read_text() == BEFORE


def test_nodes_with_an_ip_address_have_a_line(at: Callable[..., Context]) -> None:
    named = at("gpu1", '\n[nodes.far]\naddress = "far.example.org"\nroles = ["compute"]\n')
    lines = hosts.lines(named.site)
    assert "10.77.0.11\tgpu1" in lines and len(lines) == 4
