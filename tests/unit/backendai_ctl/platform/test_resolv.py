from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.platform import resolv


def test_name_servers_are_those_of_resolv_conf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(resolv, "FILE", file)
    assert resolv.nameservers() == []
    file.write_text(
        "# nameserver 192.0.2.1\nsearch example.org\nnameserver 192.0.2.53\nnameserver\n"
        "nameserver fe80::1%eth0\n  nameserver 192.0.2.53\noptions edns0\n"
    )
    assert resolv.nameservers() == ["192.0.2.53", "fe80::1"]
