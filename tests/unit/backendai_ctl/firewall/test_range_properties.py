"""Ranges for nft hold what was asked for, each port and address once."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from backendai_ctl.firewall import ranges

ports = st.integers(1, 40)
found = st.lists(st.tuples(ports, ports).map(lambda pair: (min(pair), max(pair))), max_size=8)
networks = st.lists(
    st.ip_addresses().map(str) | st.sampled_from(["10.0.0.0/8", "fd00::/8"]), max_size=5
)


def numbers(text: str) -> list[int]:
    listed = []
    for part in text.split(", ") if text else ():
        first, _, last = part.partition("-")
        assert not last or int(first) < int(last)
        listed += range(int(first), int(last or first) + 1)
    return listed


@given(found)
def test_each_port_is_there_once(asked: list[tuple[int, int]]) -> None:
    wanted = {port for first, last in asked for port in range(first, last + 1)}
    assert numbers(ranges.ports(asked)) == sorted(wanted)


@given(found, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(asked: list[tuple[int, int]], random: object) -> None:
    shuffled = [*asked, *asked]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ranges.ports(shuffled) == ranges.ports(asked)


@given(networks)
def test_every_network_is_in_one_of_the_two_sets(asked: list[str]) -> None:
    both = ranges.of_version(asked, 4) + ranges.of_version(asked, 6)
    assert sorted(both) == sorted({str(ipaddress.ip_network(text)) for text in asked})
