"""Keeps members of a project out of each other's sessions and deployments.

Members may create sessions and deployments in their project. Upstream asks for that right, to create, of
whoever starts an app of one session, commits it to an image or makes a token for one deployment, and
members have it on everybody's: who knows the number of another's session opened its terminal. What is
done to something that is there already asks for the right to change it as well, which its owner has.
"""

from __future__ import annotations

from backendai_serve.patches import exchanged

VALIDATOR = "ai.backend.manager.actions.v2.single_entity.validator.rbac"
KINDS = ("session", "deployment")


def when_something_is_there(text: str) -> str:
    return exchanged(
        VALIDATOR,
        text,
        """
        permission = meta.operation_type.to_permission()
""",
        f"""
        permission = meta.operation_type.to_permission()
        if permission == Permission.CREATE and str(meta.entity.entity_type()) in {KINDS!r}:
            permission |= Permission.UPDATE
""",
    )


SOURCES = {VALIDATOR: when_something_is_there}
