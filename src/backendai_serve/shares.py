"""Gives an agent that opens folders a small share of its host, where it is beside one that computes.

Of several agents in one process upstream gives each the whole host: sessions of both could be given the
same memory and the same devices. What opens folders moves files, and nobody is kept from computing there.
"""

from __future__ import annotations

import functools
from decimal import Decimal
from types import ModuleType
from typing import Any

from backendai_serve.patches import part

MODULE = "ai.backend.agent.resources"
SHARE = 8  # one part of as many is for folders


def share_out(module: ModuleType) -> None:
    """Change what ResourceAllocator gives each agent of a slot."""
    allocator: Any = part(module, "ResourceAllocator")
    given = part(allocator, "_calculate_device_slot")

    @functools.wraps(given)
    def shared(self: Any, slot: str, index: int, config: Any, *more: Any) -> Decimal:
        whole: Decimal = given(self, slot, index, config, *more)
        kinds = {str(one.agent.scaling_group_type) for one in self.agent_configs}
        if kinds != {"compute", "storage"}:
            return whole
        opens = str(config.agent.scaling_group_type) == "storage"
        if slot == "mem":
            return whole // SHARE if opens else whole - whole // SHARE
        if not opens:
            return whole  # cores are shared in time
        return max(Decimal(1), whole // SHARE) if slot == "cpu" else Decimal(0)

    allocator._calculate_device_slot = shared


EXECUTED = {MODULE: share_out}
