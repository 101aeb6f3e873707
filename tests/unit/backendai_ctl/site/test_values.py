"""Kinds of values: what is taken and what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backendai_ctl.site import values


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (values.host, "localhost"),
        (values.host, "ai.example.org"),
        (values.host, "10.0.0.1"),
        (values.host, "fd00::1"),
        (values.address, "::"),
        (values.network, "10.0.0.0/8"),
        (values.network, "10.0.0.7"),
        (values.network4, "192.0.2.0/30"),
        (values.host_port, "etcd-1:2379"),
        (values.host_port, "[fd00::1]:2379"),
    ],
)
def test_good_values_stay_as_they_are(kind: Callable[[str], str], value: str) -> None:
    assert kind(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (values.host, ""),
        (values.host, "two words"),
        (values.host, "-x.example.org"),
        (values.host, "10.0.0.256"),
        (values.host, "a" * 64),
        (values.host, "http://example.org"),
        (values.address, "localhost"),
        (values.address, "fe80::1%eth0"),
        (values.network, "10.0.0.1/8"),
        (values.network4, "10.0.0.1/8"),
        (values.network4, "10.0.0.0/31"),
        (values.network4, "fd00::/64"),
        (values.network, "fe80::1%eth0"),
        (values.network, "fe80::1%x\nUser=root\nExecStartPre=+reboot"),
        (values.interface, "fe80::1%x\nUser=root"),
        (values.path, "/with\x9bterminal"),
        (values.host_port, "etcd:\uff12\uff13\uff17\uff19"),
        (values.host_port, "etcd"),
        (values.host_port, "etcd:0"),
        (values.host_port, "etcd:65536"),
        (values.host_port, "fd00::1:2379"),
        (values.host_port, "http://etcd:2379"),
        (values.path, "relative"),
        (values.path, "/a/../b"),
        (values.path, "/with blank"),
        (values.path, "/with%percent"),
        (values.path, 3),
    ],
)
def test_bad_values_are_refused(kind: Callable[[object], object], value: object) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        kind(value)


def test_paths_may_come_as_texts_or_paths() -> None:
    assert values.path("/a/b") == values.path(Path("/a/b")) == Path("/a/b")


def test_host_and_port_are_split_without_brackets() -> None:
    assert values.split_host_port("[fd00::1]:2379") == ("fd00::1", 2379)
    assert values.split_host_port("etcd:1") == ("etcd", 1)


@pytest.mark.parametrize(
    ("value", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("db.example.org", False),
    ],
)
def test_what_is_this_host(value: str, local: bool) -> None:
    assert values.is_loopback(value) is local
