"""The manager's own check of rights, as the lock has it, with somebody who may create and nothing else."""

from __future__ import annotations

import json

import pytest
from upstream import Upstream

ASK = """
import asyncio, json, uuid
from types import SimpleNamespace
from ai.backend.common.contexts import user as context
from ai.backend.common.data.entity.types import EntityType, RuntimeEntityID
from ai.backend.common.data.permission.types import Permission
from ai.backend.manager.actions.types import ActionOperationType
from ai.backend.manager.actions.v2.single_entity.validator import rbac
from ai.backend.manager.errors.permission import NotEnoughPermission

who = SimpleNamespace(user_id=uuid.uuid4(), is_superadmin=False)
rbac.current_user = lambda: who
config = SimpleNamespace(config=SimpleNamespace(manager=SimpleNamespace(
    rbac=SimpleNamespace(enforcement_enabled=True))))

async def may(held, kind, operation):
    async def owned_permissions(keys):
        return {key: held for key in keys}
    repository = SimpleNamespace(owned_permissions=owned_permissions)
    check = rbac.VirtualEntitySingleEntityActionRBACValidator(repository, config)
    entity = RuntimeEntityID(EntityType(kind), uuid.uuid4())
    try:
        await check.validate(SimpleNamespace(entity=entity, operation_type=operation))
    except NotEnoughPermission:
        return False
    return True

async def main():
    create, owner = Permission.CREATE, Permission.CREATE | Permission.READ | Permission.UPDATE
    told = {}
    for kind in ("session", "deployment", "vfolder"):
        told[kind] = [await may(held, kind, ActionOperationType.CREATE) for held in (create, owner)]
    told["read"] = [await may(Permission.READ, "session", ActionOperationType.GET)]
    print(json.dumps(told))

asyncio.run(main())
"""


@pytest.mark.parametrize(("changed", "session"), [(True, [False, True]), (False, [True, True])])
def test_who_may_only_create_does_nothing_to_what_is_there(
    upstream: Upstream, changed: bool, session: list[bool]
) -> None:
    """With upstream alone, members of a project could."""
    told = json.loads(upstream.run(ASK, changed=changed).splitlines()[-1])
    assert told == {
        "session": session,
        "deployment": session,
        "vfolder": [True, True],
        "read": [True],
    }
