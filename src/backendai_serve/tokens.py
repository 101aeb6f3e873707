"""Has the manager show the coordinator its token wherever it asks, and show it to nobody else.

The manager keeps the token beside the address of the coordinator, in `scaling_groups`. It shows it for
inference endpoints, but not where it asks for a way to the app of a session. So upstream's coordinator
has a setting to hand these out to anybody, which a site must not use. And whoever has signed in may ask
the manager for `ScalingGroupNode`, token and all; `ScalingGroup` is for superadministrators.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from backendai_serve.patches import Unfit, exchanged, part

CLIENT = "ai.backend.manager.clients.appproxy.client"
SERVICE = "ai.backend.manager.services.session.service"
GROUPS = "ai.backend.manager.api.gql_legacy.scaling_group"


async def of_group(repository: Any, group: str) -> str:
    """The coordinator's token for a resource group, "" if it has none."""
    import sqlalchemy as sa  # type: ignore[import-not-found]
    from ai.backend.manager.models.resource_group.row import (  # type: ignore[import-not-found]
        resource_groups as groups,
    )

    wanted = sa.select(groups.c.wsproxy_api_token).where(groups.c.name == group)
    async with repository._db_source._db.begin_readonly() as connection:
        return (await connection.scalar(wanted)) or ""


def when_it_asks_for_the_state(text: str) -> str:
    return exchanged(
        CLIENT,
        text,
        'headers={"Accept": "application/json"},',
        'headers={"Accept": "application/json", "X-BackendAI-Token": self._token},',
    )


def when_it_asks_for_an_app(text: str) -> str:
    changed = exchanged(
        SERVICE,
        text,
        """
        client = self._appproxy_client_pool.load_client(wsproxy_addr, "")
""",
        """
        from backendai_serve.tokens import of_group
        wsproxy_token = await of_group(self._session_repository, session_data.resource_group_name)
        client = self._appproxy_client_pool.load_client(wsproxy_addr, wsproxy_token)
""",
    )
    return exchanged(
        SERVICE,
        changed,
        """
                f"{wsproxy_addr}/v2/conf",
                json=body,
""",
        """
                f"{wsproxy_addr}/v2/conf",
                headers={"X-BackendAI-Token": wsproxy_token},
                json=body,
""",
    )


def in_no_answer(module: ModuleType) -> None:
    """Nodes of resource groups have no token, however somebody gets to one."""
    node = part(module, "ScalingGroupNode")
    if "wsproxy_api_token" not in node._meta.fields:
        raise Unfit(GROUPS, "ScalingGroupNode has no wsproxy_api_token")
    node.resolve_wsproxy_api_token = staticmethod(lambda node, info: None)


SOURCES = {CLIENT: when_it_asks_for_the_state, SERVICE: when_it_asks_for_an_app}
EXECUTED = {GROUPS: in_no_answer}
