"""The roles that the release's presets call for in every domain, project and account.

Backend.AI makes them with each domain, project and account that it makes itself; those that are
loaded as rows, as the first ones of a site, have none, and then nobody may do anything in them.
"""

from __future__ import annotations

from backendai_ctl.database.connection import Connection
from backendai_ctl.errors import Problem

# A scope has a row of its own and a place in the graph of rights; a preset with a scope is for that
# one alone. A role counts in whatever state it is: one that an administrator deleted stays so.
_MISSING = """
WITH scopes (kind, id) AS (
  SELECT 'domain', id FROM domains UNION ALL SELECT 'project', id FROM groups
  UNION ALL SELECT 'user', uuid FROM users UNION ALL SELECT 'global', id FROM global_entities
)
SELECT DISTINCT s.kind FROM scopes s
JOIN virtual_entities v ON v.entity_type = s.kind AND v.entity_id = s.id
JOIN role_presets p ON p.scope_type = s.kind AND coalesce(p.scope_id, s.id) = s.id
WHERE NOT p.deleted AND NOT EXISTS (
  SELECT FROM roles r WHERE r.role_preset_id = p.id AND r.scope_id = s.id)
ORDER BY 1
"""
_KNOWN = """
SELECT EXISTS (SELECT FROM information_schema.columns
  WHERE table_schema = 'public' AND table_name = 'role_presets' AND column_name = 'scope_id')
"""


def known(db: Connection) -> bool:
    """Whether the tables are those of this release."""
    return bool(db.value(_KNOWN))


def missing(db: Connection) -> list[str]:
    """Kinds of scopes of which one or more lack a role: domain, project, user, global."""
    return [row["kind"] for row in db.rows(_MISSING)]


def none_missing(db: Connection) -> None:
    """Problem if the release's own command left roles out."""
    if left := missing(db):
        raise Problem(
            f"{db.target.where}: roles are still missing in scopes of kind {', '.join(left)}",
            hint="this backendai-ctl is for another release: install matching packages",
        )
