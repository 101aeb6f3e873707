"""Promises of backendai_ctl.acceptance.cluster: each of two nodes gets one container, or nobody says so."""

from __future__ import annotations

import pytest

from backendai_ctl.acceptance.account import Agent
from backendai_ctl.acceptance.cluster import chosen
from backendai_ctl.acceptance.outcomes import Skip


def nodes(*free: int) -> list[Agent]:
    return [Agent(f"i-n{number}", "default", cores, {}) for number, cores in enumerate(free)]


@pytest.mark.parametrize("free", [(1, 1), (4, 4), (3, 4), (64, 33), (2, 8, 9, 64)])
def test_no_node_has_room_for_both(free: tuple[int, ...]) -> None:
    agents, cores = chosen(nodes(*free))
    assert len({agent.id for agent in agents}) == 2
    for agent in agents:
        assert cores <= agent.cores < 2 * cores


@pytest.mark.parametrize("free", [(0, 0), (0, 1), (8, 64), (1, 2)])
def test_where_one_node_would_get_both_it_is_told(free: tuple[int, ...]) -> None:
    with pytest.raises(Skip, match=f"free cores: n0 {free[0]}, n1 {free[1]}"):
        chosen(nodes(*free))


def test_a_node_alone_gets_both() -> None:
    assert chosen(nodes(2)) == (nodes(2), 1)
    with pytest.raises(Skip, match="it takes 2 free cores, n0 has 1"):
        chosen(nodes(1))
