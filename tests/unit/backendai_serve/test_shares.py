"""With upstream's own module, as the lock has it: what each of several agents on a host has to give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from upstream import Upstream, shared, unpack

ASK = """
import json
from decimal import Decimal
from types import SimpleNamespace
from ai.backend.agent.config.unified import ResourceAllocationMode
from ai.backend.agent.resources import ResourceAllocator
from ai.backend.common.types import ResourceGroupType

resource = SimpleNamespace(allocation_mode=ResourceAllocationMode.SHARED)
configs = [
    SimpleNamespace(agent=SimpleNamespace(scaling_group_type=ResourceGroupType(kind)), resource=resource)
    for kind in KINDS
]
allocator = ResourceAllocator.__new__(ResourceAllocator)
allocator.agent_configs = configs
has = {"cpu": 20, "mem": 800, "cuda.device": 4}
allocator.available_total_slots = {name: Decimal(amount) for name, amount in has.items()}
given = [
    {name: int(allocator._calculate_device_slot(name, index, config, None)) for name in has}
    for index, config in enumerate(configs)
]
print(json.dumps(given))
"""
WHOLE = {"cpu": 20, "mem": 800, "cuda.device": 4}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return unpack(shared(tmp_path_factory), ("backend-ai-agent", "backend-ai-kernel-binary"))


def given(agent: Upstream, *kinds: str) -> Any:
    return json.loads(agent.run(ASK.replace("KINDS", repr(kinds))).splitlines()[-1])


def test_what_opens_folders_has_a_share_and_no_device(agent: Upstream) -> None:
    computes, opens = given(agent, "compute", "storage")
    assert computes == {**WHOLE, "mem": 700}
    assert opens == {"cpu": 2, "mem": 100, "cuda.device": 0}


def test_one_agent_has_the_whole_host(agent: Upstream) -> None:
    assert given(agent, "compute") == [WHOLE]
    assert given(agent, "storage") == [WHOLE]
