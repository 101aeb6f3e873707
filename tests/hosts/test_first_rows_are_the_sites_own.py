"""A new site's first rows: complete, also after a kill, and without any example's key."""

from __future__ import annotations

import json

import old_database as old
import pytest
from host import Host
from own_servers import PSQL, as_superuser

from backendai_ctl.database.seed import FILES

FIXTURES = "/usr/share/backendai/fixtures"
LOAD = ["backendai-ctl", "reconfigure", "--only", "load-initial-data"]
# Every role, by its preset and the name of its scope.
ROLES = """
SELECT p.name, r.scope_type, coalesce(d.name, g.name, u.username, e.name) FROM roles r
JOIN role_presets p ON p.id = r.role_preset_id
LEFT JOIN domains d ON d.id = r.scope_id LEFT JOIN groups g ON g.id = r.scope_id
LEFT JOIN users u ON u.uuid = r.scope_id LEFT JOIN global_entities e ON e.id = r.scope_id
ORDER BY 1, 3
"""
# Registries are a step of their own; templates are examples of use.
LEFT_OUT = ("container-registries-dockerhub", "container-registries-harbor", "session-templates")
TELLING = ("password", "secret_key", "access_key", "wsproxy_api_token", "email")


EMPTY = "empty_schema"


@pytest.fixture(scope="module")
def prepared(configured: Host) -> Host:
    """A host with a template that has the schema of this release and no row."""
    old.prepare(configured)
    old.sql(configured, f"DROP DATABASE IF EXISTS {old.NAME} WITH (FORCE)")
    configured.check(["backendai-ctl", "reconfigure", "--only", "create-databases"])
    configured.check(old.MIGRATE)
    old.sql(configured, f"CREATE DATABASE {EMPTY} OWNER {old.NAME} TEMPLATE {old.NAME}")
    return configured


@pytest.fixture
def host(prepared: Host) -> Host:
    """A host with an empty schema of this release."""
    make_empty(prepared)
    return prepared


def make_empty(host: Host) -> None:
    old.sql(host, f"DROP DATABASE {old.NAME} WITH (FORCE)")
    old.sql(host, f"CREATE DATABASE {old.NAME} OWNER {old.NAME} TEMPLATE {EMPTY}")
    old.sql(host, f"REVOKE ALL ON DATABASE {old.NAME} FROM PUBLIC")


def test_no_example_account_or_key_is_in_the_database(host: Host) -> None:
    host.check(LOAD)
    dump = host.check(as_superuser("pg_dump", old.NAME)).stdout
    examples = [
        str(row[name])
        for path in host.sh(f"ls {FIXTURES}/example-*.json").split()
        for table, rows in _tables(host, path)
        for row in rows
        for name in TELLING
        if row.get(name)
    ]
    assert len(examples) > 20
    assert [example for example in examples if example in dump] == []
    admin = old.sql(host, "SELECT email, role, status FROM users", old.NAME)
    assert admin == "admin@localhost.localdomain|superadmin|active"
    secret = host.sh("cat /etc/backendai/secrets/admin-secret-key")
    assert old.sql(host, "SELECT secret_key FROM keypairs", old.NAME) == secret
    assert host.sh("cat /etc/backendai/secrets/admin-password") not in dump


def test_a_second_run_changes_nothing(host: Host) -> None:
    host.check(LOAD)
    before = old.rows(host)
    host.check(LOAD)
    for step in ("register-app-proxy", "register-images"):
        said = host.check(["backendai-ctl", "reconfigure", "--json", "--only", step]).stdout
        assert json.loads(said)["steps"][step]["state"] == "same"
    assert old.rows(host) == before


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param(1, marks=pytest.mark.breadth),
        6,
        pytest.param(14, marks=pytest.mark.breadth),
        20,
    ],
)
def test_a_load_that_was_killed_is_completed(host: Host, tables: int) -> None:
    """Killed when so many of the tables have rows; the outcome is that of a whole run."""
    filled = (
        "SELECT count(*) FROM pg_stat_user_tables WHERE n_tup_ins > 0 AND relname NOT IN "
        "('alembic_version', 'global_entities')"
    )
    host.sh(
        f"""
        {" ".join(LOAD)} & ctl=$!
        until [ "$({PSQL} -At -d {old.NAME} -c "{filled}")" -ge {tables} ]; do
            kill -0 $ctl || exit 0
        done
        kill -9 $ctl
        """
    )
    host.check(LOAD)
    killed = old.rows(host)
    make_empty(host)
    host.check(LOAD)
    whole = old.rows(host)
    assert {t: len(rows) for t, rows in killed.items()} == {t: len(r) for t, r in whole.items()}


def test_every_table_that_needs_a_node_in_the_graph_of_rights_has_it(host: Host) -> None:
    host.check(LOAD)
    orphans = (
        "SELECT registry_name FROM container_registries r WHERE NOT EXISTS "
        "(SELECT FROM virtual_entities v WHERE v.entity_id = r.id)"
    )
    known = old.sql(host, "SELECT registry_name FROM container_registries", old.NAME)
    assert known == "127.0.0.1:8140"
    assert old.sql(host, orphans, old.NAME) == ""


def provisioned(host: Host) -> str:
    """What became of the step that makes roles; a second run must find nothing to do."""
    call = ["backendai-ctl", "reconfigure", "--json", "--only", "provision-roles"]
    first, second = (json.loads(host.check(call).stdout)["steps"] for _ in range(2))
    assert second["provision-roles"]["state"] == "same"
    return str(first["provision-roles"]["state"])


def test_everybody_has_the_roles_that_the_release_has_presets_for(host: Host) -> None:
    host.check(LOAD)
    assert provisioned(host) == "same", "the first load makes them"
    assert old.sql(host, ROLES, old.NAME).split() == [
        "domain_admin|domain|default",
        "domain_member|domain|default",
        "project_admin|project|admin",
        "project_admin|project|default",
        "project_admin|project|model-store",
        "project_member|project|admin",
        "project_member|project|default",
        "project_member|project|model-store",
        "public_member|global|public",
        "user_owner|user|admin",
    ]
    held = "SELECT count(*) FROM user_roles h JOIN users u ON u.uuid = h.user_id"
    assert old.sql(host, held, old.NAME) == "9"  # all but domain_admin

    # Rows that were added by hand, or were there before: mended, and nothing else.
    old.sql(host, "DELETE FROM roles WHERE scope_type = 'project'", old.NAME)
    old.sql(host, "UPDATE role_presets SET deleted = true WHERE name = 'project_admin'", old.NAME)
    assert provisioned(host) == "done"
    names = old.sql(host, ROLES, old.NAME).split()
    assert [name for name in names if name.startswith("project_")] == [
        "project_member|project|admin",
        "project_member|project|default",
        "project_member|project|model-store",
    ]


def test_a_database_of_an_older_release_has_them_after_the_migration(host: Host) -> None:
    old.reset(host)
    host.check(old.MIGRATE, timeout=300)
    provisioned(host)
    domains, members = old.sql(
        host,
        "SELECT count(*) FROM domains UNION ALL "
        "SELECT count(*) FROM roles WHERE name LIKE 'domain_member-%' ORDER BY 1",
        old.NAME,
    ).split()
    assert int(domains) == int(members) > 0


def test_every_example_of_the_release_is_known(host: Host) -> None:
    found = {name.strip() for name in host.sh(f"ls {FIXTURES}").split()}
    assert found == {f"example-{name}.json" for name in (*FILES, *LEFT_OUT)}


def test_a_reset_password_is_a_new_one(host: Host) -> None:
    host.check(LOAD)
    query = "SELECT password FROM users"
    before = old.sql(host, query, old.NAME)
    said = json.loads(host.check(["backendai-ctl", "admin", "reset-password", "--json"]).stdout)
    assert said["password"] == host.sh("cat /etc/backendai/secrets/admin-password")
    after = old.sql(host, query, old.NAME)
    assert after.startswith("pbkdf2_sha256$") and after != before


def _tables(host: Host, path: str) -> list[tuple[str, list[dict[str, object]]]]:
    data = json.loads(host.sh(f"cat {path}"))
    tables = data.items() if isinstance(data, dict) else ()
    return [(name, rows) for name, rows in tables if isinstance(rows, list)]
