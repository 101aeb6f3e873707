"""Has an account that is made without a project of its own choice join the project `default`.

The form of the web UI sets the model store for every new user, and shows no other project: who leaves
it so makes an account that is told "No accessible projects" and can start no session.
"""

from __future__ import annotations

from typing import Any

from backendai_serve.patches import part

PROJECT = "default"  # of the account's domain, if there is one of this name


def join_default(module: Any) -> None:
    """Have the manager add the project when it puts a new account on those that were asked for."""
    operations = part(module, "V2UserWriteOps")
    plain = part(operations, "join_projects")
    for name in ("_domain_name", "_member_project_ids", "_model_store_project_ids"):
        part(operations, name)

    async def join_projects(self: Any, user_id: Any, domain_id: Any, project_ids: Any) -> None:
        domain = await self._domain_name(domain_id)
        asked = await self._member_project_ids(domain, project_ids)
        if asked <= await self._model_store_project_ids(domain):  # where everybody is anyway
            project = module.ProjectRow
            query = module.sa.select(project.id).where(
                project.domain_name == domain,
                project.name == PROJECT,
                project.type == module.ProjectType.GENERAL,
            )
            project_ids = [*asked, *(await self._sess.scalars(query)).all()]
        await plain(self, user_id, domain_id, project_ids)

    operations.join_projects = join_projects


EXECUTED = {"ai.backend.manager.repositories.ops.v2.user.write": join_default}
