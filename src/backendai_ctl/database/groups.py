"""Resource groups in the manager's database, where they are called scaling groups."""

from __future__ import annotations

from backendai_ctl.database.connection import Connection
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import layout

# One statement: all of a group is there or nothing. It is open to the domains to which its model is,
# and has the model's place in the graph of rights (ai/backend/manager/models/virtual_entity), as far
# as that is about domains and the whole site; what projects and users were given is the model's own.
_MAKE = """
WITH model AS (
  SELECT * FROM scaling_groups ORDER BY name = $2 DESC, is_default DESC, name LIMIT 1
), made AS (
  INSERT INTO scaling_groups
  SELECT (jsonb_populate_record(NULL::scaling_groups, to_jsonb(model) || jsonb_build_object(
    'id', gen_random_uuid(), 'name', $1::text, 'is_default', false, 'created_at', now(),
    'description', 'Made by backendai-ctl'))).*
  FROM model ON CONFLICT DO NOTHING RETURNING id
), domains_of_it AS (
  INSERT INTO sgroups_for_domains (resource_group_id, domain_id)
  SELECT made.id, d.domain_id FROM made, model JOIN sgroups_for_domains d
    ON d.resource_group_id = model.id
), old AS (
  SELECT v.id FROM virtual_entities v JOIN model ON v.entity_id = model.id
  WHERE v.entity_type = 'resource_group'
), new AS (
  INSERT INTO virtual_entities (entity_type, entity_id)
  SELECT 'resource_group', id FROM made RETURNING id
), kin AS (
  SELECT id FROM virtual_entities WHERE entity_type IN ('domain', 'global')
  UNION SELECT id FROM old
), edges AS (
  SELECT gen_random_uuid() AS id, m.id AS was, m.capped,
    CASE m.virtual_entity_id WHEN old.id THEN new.id ELSE m.virtual_entity_id END AS above,
    CASE m.member_entity_id WHEN old.id THEN new.id ELSE m.member_entity_id END AS member
  FROM old, new, entity_memberships m
  WHERE old.id IN (m.virtual_entity_id, m.member_entity_id)
    AND m.virtual_entity_id IN (SELECT id FROM kin) AND m.member_entity_id IN (SELECT id FROM kin)
), memberships AS (
  INSERT INTO entity_memberships (id, virtual_entity_id, member_entity_id, capped)
  SELECT id, above, member, capped FROM edges
), caps AS (
  INSERT INTO entity_membership_caps (membership_id, permission, all_fields)
  SELECT edges.id, c.permission, c.all_fields
  FROM edges JOIN entity_membership_caps c ON c.membership_id = edges.was
), bindings AS (
  INSERT INTO scope_bindings (virtual_entity_id, scope_entity_id, permission_cap)
  SELECT CASE b.virtual_entity_id WHEN old.id THEN new.id ELSE b.virtual_entity_id END,
    CASE b.scope_entity_id WHEN old.id THEN new.id ELSE b.scope_entity_id END, b.permission_cap
  FROM old, new, scope_bindings b
  WHERE old.id IN (b.virtual_entity_id, b.scope_entity_id)
    AND b.virtual_entity_id IN (SELECT id FROM kin) AND b.scope_entity_id IN (SELECT id FROM kin)
)
SELECT count(*) FROM model
"""


def missing(db: Connection, site: Site, facts: Facts) -> list[str]:
    """Groups of the site file's agents that are not in the database."""
    there = {row["name"] for row in db.rows("SELECT name FROM scaling_groups")}
    return [name for name in layout.resource_groups(site, facts) if name not in there]


def make(db: Connection, name: str, *, like: str) -> None:
    """Make a group in the likeness of another, of the default one if that is not there either.

    Problem if there is none at all.
    """
    if not db.value(_MAKE, name, like):
        raise Problem(
            f"{db.target.where}: there is no resource group that {name!r} could be made like",
            hint="make one in the web UI, under Resources, then run: backendai-ctl reconfigure",
        )
