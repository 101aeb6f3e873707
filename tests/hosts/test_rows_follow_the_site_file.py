"""Volumes, resource groups and limits that come to the site file later are in the database as if first."""

from __future__ import annotations

import json
from collections.abc import Iterator

import old_database as old
import pytest
from host import Host
from own_servers import as_superuser
from scenario import SITE_PATH, ctl

TABLES = ("domains", "groups", "keypair_resource_policies")
STEPS = ("create-resource-groups", "register-app-proxy", "permit-volumes", "limit-sessions")
# What a group is in the graph of rights, but for its own name.
GRAPH = """
WITH node AS (
  SELECT v.id FROM virtual_entities v JOIN scaling_groups g ON g.id = v.entity_id WHERE g.name = '{}'
) SELECT * FROM (
  SELECT 'member', o.entity_type, o.id = node.id, m.capped, c.permission
  FROM node JOIN entity_memberships m ON node.id IN (m.virtual_entity_id, m.member_entity_id)
  JOIN virtual_entities o
    ON o.id = CASE node.id WHEN m.member_entity_id THEN m.virtual_entity_id ELSE m.member_entity_id END
  LEFT JOIN entity_membership_caps c ON c.membership_id = m.id
  UNION ALL SELECT 'scope', o.entity_type, o.id = node.id, b.permission_cap IS NULL, b.permission_cap
  FROM node JOIN scope_bindings b ON node.id IN (b.virtual_entity_id, b.scope_entity_id)
  JOIN virtual_entities o
    ON o.id = CASE node.id WHEN b.scope_entity_id THEN b.virtual_entity_id ELSE b.scope_entity_id END
) AS found ORDER BY 1, 2, 3, 4, 5
"""


@pytest.fixture(scope="module")
def host(configured: Host) -> Iterator[Host]:
    """A host whose database has the first rows of a site with one volume."""
    configured.sh("systemctl stop backendai-manager.service 2>/dev/null || :")
    old.sql(configured, f"DROP DATABASE IF EXISTS {old.NAME} WITH (FORCE)")
    ctl(configured, "reconfigure", "--only", "create-databases")
    configured.check(old.MIGRATE, timeout=300)
    ctl(configured, "reconfigure", "--only", "load-initial-data")
    reach(configured, "")
    yield configured


def reach(host: Host, site: str) -> list[str]:
    """Have the steps done with this site file; what changed, a second run must find nothing."""
    host.write(SITE_PATH, site)
    found = []
    for number in range(2):
        for step in STEPS:
            plan = ctl(host, "reconfigure", "--only", step, "--dry-run")["plan"]
            changes = plan.get(step, {}).get("changes", [])
            rows = ctl(host, "reconfigure", "--only", step)["steps"][step]
            assert rows["state"] == ("done" if changes else "same"), rows
            assert number == 0 or not changes, changes
            found += [row["what"] for row in changes]
    return found


def permitted(host: Host, table: str) -> list[dict[str, list[str]]]:
    rows = old.sql(host, f"SELECT json_agg(allowed_vfolder_hosts) FROM {table}", old.NAME)
    found: list[dict[str, list[str]]] = json.loads(rows)
    return found


def volumes(*names: str, more: str = "") -> str:
    return "".join(f"[storage.volumes.{name}]\n" for name in names) + more


def test_a_new_volume_is_permitted_to_everybody(host: Host) -> None:
    reach(host, volumes("volume1", "second"))
    for table in TABLES:
        rows = permitted(host, table)
        assert rows
        for row in rows:
            assert set(row) == {"local:volume1", "local:second"}
            assert sorted(row["local:second"]) == sorted(row["local:volume1"])


def test_what_an_administrator_takes_back_stays_so(host: Host) -> None:
    old.sql(
        host,
        "UPDATE domains SET allowed_vfolder_hosts = allowed_vfolder_hosts - 'local:second'",
        old.NAME,
    )
    old.sql(
        host,
        "UPDATE groups SET allowed_vfolder_hosts = allowed_vfolder_hosts || "
        """'{"local:second": ["mount-in-session"]}'""",
        old.NAME,
    )
    assert reach(host, volumes("volume1", "second")) == []
    assert all("local:second" not in row for row in permitted(host, "domains"))


def test_a_volume_that_is_gone_is_taken_out_except_where_it_was_changed(host: Host) -> None:
    reach(host, volumes("volume1"))
    assert all(
        set(row) == {"local:volume1"} for row in permitted(host, "keypair_resource_policies")
    )
    assert all(row["local:second"] == ["mount-in-session"] for row in permitted(host, "groups"))


def test_a_volume_left_to_the_administrator_is_permitted_to_nobody(host: Host) -> None:
    assert reach(host, volumes("volume1", "third", more="permit = false\n")) == []
    assert all("local:third" not in row for table in TABLES for row in permitted(host, table))


def test_limits_of_sessions_are_those_of_the_site_file_as_far_as_it_says(host: Host) -> None:
    query = (
        "SELECT max_concurrent_sessions, max_containers_per_session, idle_timeout, max_session_lifetime"
        " FROM keypair_resource_policies WHERE is_default"
    )
    assert old.sql(host, query, old.NAME) == "5|1|3600|0"
    said = '[sessions]\nconcurrent = 8\ncontainers = 4\nidle_timeout = "12h"\n'
    changed = reach(host, said)
    assert changed == [
        f"default policy: {column}"
        for column in ("max_concurrent_sessions", "max_containers_per_session", "idle_timeout")
    ]
    assert old.sql(host, query, old.NAME) == "8|4|43200|0"
    # What the site file does not say is an administrator's, also what it said before.
    old.sql(host, "UPDATE keypair_resource_policies SET max_session_lifetime = 60", old.NAME)
    assert reach(host, "") == []
    assert old.sql(host, query, old.NAME) == "8|4|43200|60"


def test_a_resource_group_is_made_in_the_likeness_of_another(host: Host) -> None:
    old.sql(host, "UPDATE scaling_groups SET scheduler = 'lifo'", old.NAME)
    reach(host, '[agent]\ngroup = "gpu"\n')
    query = "SELECT name, is_active, is_default, scheduler FROM scaling_groups ORDER BY name"
    assert old.sql(host, query, old.NAME).split() == ["default|t|t|lifo", "gpu|t|f|lifo"]
    proxies = "SELECT count(DISTINCT (wsproxy_addr, wsproxy_api_token)) FROM scaling_groups"
    assert old.sql(host, proxies, old.NAME) == "1"
    opened = "SELECT count(*) FROM sgroups_for_domains GROUP BY domain_id"
    assert old.sql(host, opened, old.NAME) == "2"


def test_the_new_group_has_the_same_place_in_the_graph_of_rights(host: Host) -> None:
    graph = old.sql(host, GRAPH.format("gpu"), old.NAME)
    assert {line.split("|")[1] for line in graph.splitlines()} == {
        "domain",
        "global",
        "resource_group",
    }
    assert graph == old.sql(host, GRAPH.format("default"), old.NAME)


def test_a_dump_has_the_notes_of_what_was_permitted(host: Host) -> None:
    dump = host.check(as_superuser("pg_dump", old.NAME)).stdout
    assert "backendai_ctl_permitted" in dump
