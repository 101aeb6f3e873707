"""A new site's first rows: complete, also after a kill, and without any example's key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import old_database as old
import pytest
from host import Host

from backendai_ctl.database.seed import FILES, LEFT_OUT

FIXTURES = "/usr/share/backendai/fixtures"
LOAD = ["backendai-ctl", "reconfigure", "--only", "load-initial-data"]
TELLING = ("password", "secret_key", "access_key", "wsproxy_api_token", "email")


@pytest.fixture
def host(configured: Host) -> Iterator[Host]:
    """A host with an empty schema of this release."""
    old.prepare(configured)
    old.sql(configured, f"DROP DATABASE IF EXISTS {old.NAME} WITH (FORCE)")
    configured.check(["backendai-ctl", "reconfigure", "--only", "create-databases"])
    configured.check(old.MIGRATE)
    yield configured


def test_no_example_account_or_key_is_in_the_database(host: Host) -> None:
    host.check(LOAD)
    dump = host.check(["pg_dump", old.NAME], user="postgres").stdout
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


@pytest.mark.parametrize("tables", [1, 6, 14, 20])
def test_a_load_that_was_killed_is_completed(host: Host, tables: int) -> None:
    """Killed when so many of the tables have rows; the outcome is that of a whole run."""
    filled = (
        "SELECT count(*) FROM pg_stat_user_tables WHERE n_tup_ins > 0 AND relname NOT IN "
        "('alembic_version', 'global_entities')"
    )
    host.sh(
        f"""
        {" ".join(LOAD)} & ctl=$!
        until [ "$(su postgres -c "psql -AtX {old.NAME} -c \\"{filled}\\"")" -ge {tables} ]; do
            kill -0 $ctl || exit 0
        done
        kill -9 $ctl
        """
    )
    host.check(LOAD)
    killed = old.rows(host)
    old.sql(host, f"DROP DATABASE {old.NAME} WITH (FORCE)")
    host.check(["backendai-ctl", "reconfigure", "--only", "create-databases"])
    host.check(old.MIGRATE)
    host.check(LOAD)
    whole = old.rows(host)
    assert {t: len(rows) for t, rows in killed.items()} == {t: len(r) for t, r in whole.items()}


def test_every_table_that_needs_a_node_in_the_graph_of_rights_has_it(host: Host) -> None:
    host.check(LOAD)
    orphans = (
        "SELECT registry_name FROM container_registries r WHERE NOT EXISTS "
        "(SELECT FROM virtual_entities v WHERE v.entity_id = r.id)"
    )
    assert old.sql(host, "SELECT registry_name FROM container_registries", old.NAME) == "local"
    assert old.sql(host, orphans, old.NAME) == ""


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
