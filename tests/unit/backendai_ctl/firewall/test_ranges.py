"""Sets for nft: it refuses ranges that overlap, and takes none that is empty but declared."""

from __future__ import annotations

from backendai_ctl.firewall.ranges import as_set, of_version, ports


def test_each_port_is_there_once() -> None:
    assert ports([(6001, 6001), (30000, 31000), (6001, 6001)]) == "6001, 30000-31000"
    assert ports([(10, 20), (15, 30), (18, 18), (31, 40)]) == "10-40"
    assert ports([(10200, 10200), (10201, 10201), (10205, 10300)]) == "10200, 10201, 10205-10300"
    assert ports([]) == ""


def test_addresses_are_parted_by_version() -> None:
    found = ["10.0.0.1", "fd00::/64", "192.0.2.7/24", "10.0.0.1"]
    assert of_version(found, 4) == ["10.0.0.1/32", "192.0.2.0/24"]
    assert of_version(found, 6) == ["fd00::/64"]


def test_a_set_may_be_empty() -> None:
    assert not any("elements" in line for line in as_set("nodes6", "ipv6_addr", []))
    assert "    elements = { a, b }" in as_set("nodes6", "ipv6_addr", ["a", "b"])
