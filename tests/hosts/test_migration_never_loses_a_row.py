"""A migration ends at the new schema with every row, or leaves the database as it was.

The database is one that release 26.8.3 made. Failures are injected from outside while
`backendai-ctl db migrate` runs: its record says which phase it is in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import old_database as old
import pytest
from host import Host, Result
from own_servers import DATA, PSQL, SUPERUSER, UNITS

PENDING = "/var/lib/backendai/ctl/pending"
KILL = "kill -9 $ctl"
UNIT = UNITS["postgresql"]
# At once, as in a crash; and it does not come back before it is told.
STOP_SERVER = f"kill -QUIT $(pgrep -P $(systemctl show -P MainPID {UNIT})); systemctl stop {UNIT}"
START_SERVER = ["systemctl", "restart", UNIT]  # done when it serves
# The run and its pg_dump wait meanwhile: else the dump may be done before the disk is full.
FILL = f"""
kill -STOP $ctl; pkill -STOP -P $ctl
dd if=/dev/zero of={old.BACKUPS}/fill bs=64k 2>/dev/null
pkill -CONT -P $ctl; kill -CONT $ctl
"""

# What upstream's revisions from 26.8.3 to 26.9.6 do to rows that were there. All else is kept.
REBUILT = {  # the graph of rights, of which a new form is made
    "alembic_version",
    "association_scopes_entities",
    "permissions",
    "role_permission_presets",
    "roles",
    "user_roles",
    "virtual_scopes",
}
REWRITTEN = {
    "prometheus_query_presets": {"query_template"},  # another notation
    "role_presets": {"auto_assign", "deleted", "name"},
    "runtime_variant_presets": {"updated_at"},  # was null
    "runtime_variants": {"updated_at"},  # was null
    "vfolders": {"group"},  # a folder of a user now belongs to the user's own project
}


@dataclass(frozen=True)
class Fault:
    """`act` once the record says `phase`, after `delay` seconds."""

    name: str
    phase: str
    delay: float
    act: str


# Once it runs; not any more when the run itself is over.
PKILL = "until pkill -9 {}; do kill -0 $ctl 2>/dev/null || break; done"
FAULTS = [
    Fault("killed before the dump", "stopping", 0.1, KILL),
    Fault("killed in the dump", "dumping", 0.05, KILL),
    Fault("killed after the dump", "dumping", 0.6, KILL),
    Fault("killed as the migration starts", "migrating", 0, KILL),
    Fault("killed in the migration", "migrating", 1.5, KILL),
    Fault("killed late in the migration", "migrating", 2.5, KILL),
    Fault("pg_dump killed", "dumping", 0.02, PKILL.format("-x pg_dump")),
    Fault("alembic killed", "migrating", 1.8, PKILL.format("-f '[a]lembic.ini'")),
    Fault("server stopped in the dump", "dumping", 0.05, STOP_SERVER),
    Fault("server stopped in the migration", "migrating", 1.8, STOP_SERVER),
    Fault("disk full in the dump", "dumping", 0, FILL),
]


def struck(host: Host, fault: Fault) -> Result:
    """A run that met the fault; a machine that is done before it strikes gets it earlier."""
    for delay in (fault.delay, fault.delay / 2, fault.delay / 4, 0):
        result = old.interrupted(host, fault.phase, delay, fault.act)
        if result.returncode != 0:
            break
        host.check(START_SERVER)
        old.reset(host)
    return result


@contextmanager
def connected(host: Host) -> Iterator[None]:
    """Somebody else is connected to the database, and stays."""
    sleep = f"{PSQL} -d {old.NAME} -c 'SELECT pg_sleep(120)'"
    host.sh(f"systemd-run --quiet --collect --unit=other {sleep}")
    seen = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(120)' AND state = 'active'"
    )
    host.sh(f'until [ "$({PSQL} -d postgres -Atc "{seen}")" = 1 ]; do sleep 0.1; done')
    try:
        yield
    finally:
        old.sql(host, seen.replace("count(*)", "pg_terminate_backend(pid)"))
        host.sh("until ! systemctl is-active --quiet other; do sleep 0.1; done")


@pytest.fixture(scope="module")
def database(configured: Host) -> Iterator[Host]:
    """A host with the old database's template."""
    old.prepare(configured)
    yield configured


@pytest.fixture
def host(database: Host) -> Iterator[Host]:
    """A host whose manager's database is as 26.8.3 left it."""
    old.reset(database)
    yield database
    database.run(["umount", old.BACKUPS])


def test_every_revision_is_applied_and_every_row_kept(host: Host) -> None:
    before = old.rows(host)
    planned = host.check([*old.MIGRATE, "--dry-run"]).stdout
    assert f"{old.OLD} to {old.HEAD} ({old.REVISIONS} revisions)" in planned
    assert old.revision(host) == old.OLD
    host.check(old.MIGRATE)
    assert old.revision(host) == old.HEAD
    assert_rows_kept(before, old.rows(host))
    assert old.leftovers(host) == []
    assert host.check(old.MIGRATE).stdout.strip() == "Nothing to do."


def test_the_dump_of_before_is_named_and_brings_everything_back(host: Host) -> None:
    before, schema = old.rows(host), old.schema(host)
    host.check(old.MIGRATE)
    [dump] = host.sh(f"ls {old.BACKUPS}").split()
    assert dump.startswith(f"{old.OLD}-to-{old.HEAD}-manager-")
    assert host.sh(f"stat -c '%a %U' {old.BACKUPS} {old.BACKUPS}/{dump}") == "700 root\n600 root"
    said = host.check(["backendai-ctl", "db", "restore", f"{old.BACKUPS}/{dump}"]).stdout
    assert "backendai-ctl db migrate" in said
    assert (old.rows(host), old.schema(host)) == (before, schema)
    host.check(old.MIGRATE)
    assert old.revision(host) == old.HEAD


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_loses_nothing_and_a_rerun_finishes(host: Host, fault: Fault) -> None:
    if fault.act == FILL:
        host.sh(f"mkdir -p {old.BACKUPS}; mount -t tmpfs -o size=100m tmpfs {old.BACKUPS}")
    before, schema = old.rows(host), old.schema(host)
    # A run waits a while for others to leave: else this phase is over before it is seen.
    with connected(host) if fault.phase == "stopping" else nullcontext():
        result = struck(host, fault)
    assert result.returncode not in (0, 99), result
    if fault.act == STOP_SERVER:
        host.check(START_SERVER)
    if fault.act == FILL:
        host.sh(f"rm {old.BACKUPS}/fill")
    if fault.act != KILL and fault.act != STOP_SERVER:  # it could take back what it did
        assert (old.rows(host), old.schema(host)) == (before, schema)
        assert old.record(host)["state"] == "failed"
        assert old.record(host)["why"]
    host.check(old.MIGRATE)
    assert old.revision(host) == old.HEAD
    assert_rows_kept(before, old.rows(host))
    assert old.leftovers(host) == []


def test_a_half_migrated_schema_is_restored_from_the_dump(host: Host) -> None:
    """Also when the run that restores is killed, and the one after that."""
    before, schema = old.rows(host), old.schema(host)
    old.interrupted(host, "migrating", 0.3, KILL)
    host.sh("until ! pgrep -f '[a]lembic.ini'; do sleep 0.1; done")
    # As a script that commits in the middle would leave it.
    old.sql(host, "ALTER TABLE users ADD half int; DELETE FROM vfolders", old.NAME)
    for delay in (0, 0.1, 0.2):
        result = old.interrupted(host, "restoring", delay, KILL)
        assert result.returncode == 137, result
    # Now it can be restored, but not migrated: somebody else is connected and stays.
    with connected(host):
        refused = host.run(old.MIGRATE)
        assert refused.returncode == 1 and f"psql as {SUPERUSER} (pid" in refused.stderr, refused
    host.check(old.MIGRATE)
    assert old.revision(host) == old.HEAD
    assert_rows_kept(before, old.rows(host))
    [dump, *_] = host.sh(f"ls {old.BACKUPS}/*-to-*").split()
    host.check(["backendai-ctl", "db", "restore", dump])
    assert (old.rows(host), old.schema(host)) == (before, schema)


def test_a_failing_revision_leaves_everything_as_it_was(host: Host) -> None:
    old.sql(host, "ALTER TABLE users ADD domain_id text", old.NAME)  # in a revision's way
    before, schema = old.rows(host), old.schema(host)
    result = host.run(old.MIGRATE)
    assert result.returncode == 1, result
    assert (old.rows(host), old.schema(host)) == (before, schema)
    assert old.leftovers(host) == []
    assert old.record(host)["state"] == "failed"
    assert "domain_id" in old.record(host)["why"]


def test_a_restore_that_fails_tells_no_row(host: Host) -> None:
    """Rows hold keys and hashes of passwords; what is told goes into records, logs and terminals."""
    marker = "AKIA0NEVERTOLD0"
    old.sql(
        host,
        f"""
        SET session_replication_role = replica;  -- a row that no key allows
        SET ROLE {old.NAME};
        CREATE TABLE first (id text PRIMARY KEY);
        CREATE TABLE second (ref text REFERENCES first);
        INSERT INTO second VALUES ('{marker}');
        """,
        old.NAME,
    )
    host.check(["backendai-ctl", "db", "backup", "--database", "manager"])
    [dump] = host.sh(f"ls {old.BACKUPS}/*.dump").split()
    rows = old.rows(host)
    failed = host.run(["backendai-ctl", "db", "restore", dump])
    assert failed.returncode == 1 and "violates foreign key constraint" in failed.stderr, failed
    assert marker not in failed.stdout + failed.stderr
    pattern = f"{marker[:-1]}[{marker[-1]}]"  # commands of tests are in the journal themselves
    outside = f"--exclude-dir={Path(DATA['postgresql']).name} /var/lib/backendai /run/backendai"
    assert host.sh(f"grep -rl '{pattern}' {outside} || :") == ""
    assert host.sh(f"journalctl -o cat | grep -c '{pattern}' || :") == "0"
    assert host.sh("find /var/lib/backendai/ctl -maxdepth 1 -name '*.json*' -perm /007") == ""
    assert old.rows(host) == rows


def test_a_database_that_was_never_seeded_is_made_anew(host: Host) -> None:
    """Upstream's migrations stop at one; there is nothing in it to lose."""
    old.sql(host, "TRUNCATE users, project_resource_policies CASCADE", old.NAME)
    host.check(old.MIGRATE)
    assert old.revision(host) == old.HEAD
    assert len(host.sh(f"ls {old.BACKUPS}/*-to-*").split()) == 1
    assert old.leftovers(host) == []


def test_a_server_whose_disk_fills_up_loses_nothing(host: Host) -> None:
    before, schema = old.rows(host), old.schema(host)
    data = DATA["postgresql"]
    host.sh(
        f"""
        systemctl stop {UNIT}; mv {data} {data}.kept; mkdir {data}
        room=$(( $(du -sm {data}.kept | cut -f1) + 5 ))
        owner=uid=$(id -u {SUPERUSER}),gid=$(id -g {SUPERUSER})
        mount -t tmpfs -o size=${{room}}m,mode=0700,$owner tmpfs {data}
        cp -a {data}.kept/. {data}; systemctl start {UNIT}
        """
    )
    try:
        fill = f"dd if=/dev/zero of={data}/fill bs=64k 2>/dev/null; true"
        result = old.interrupted(host, "migrating", 0.2, fill)
        assert result.returncode in (1, 3), result  # 3: the server itself went away
        grow = f"rm {data}/fill; mount -o remount,size=1g {data}"
        host.sh(f"{grow}; systemctl restart {UNIT}")
        assert (old.rows(host), old.schema(host)) == (before, schema)
        host.check(old.MIGRATE)
        assert_rows_kept(before, old.rows(host))
    finally:
        host.sh(
            f"""
            systemctl stop {UNIT}; umount {data}; rmdir {data}
            mv {data}.kept {data}; systemctl start {UNIT}
            """
        )


def test_two_at_once_migrate_once(host: Host) -> None:
    """On one host the later one is refused at once; on two it waits (see nodes/)."""
    one = " ".join(old.MIGRATE)
    first, second = (f"{one} >/tmp/{name} 2>&1" for name in ("first", "second"))
    status = "&& echo 0 || echo $?"
    ended = host.sh(f"{first} & {second} {status}; wait $! {status}")
    assert sorted(ended.split()) == ["0", "3"]
    assert "another backendai-ctl is at work" in host.sh("cat /tmp/first /tmp/second")
    assert host.check(old.MIGRATE).stdout.strip() == "Nothing to do."
    assert old.revision(host) == old.HEAD
    assert len(host.sh(f"ls {old.BACKUPS}").split()) == 1


def test_a_run_that_was_cut_off_is_left_to_the_next_boot(host: Host) -> None:
    host.check(["rm", "-f", PENDING])
    assert old.interrupted(host, "migrating", 0.3, KILL).returncode == 137
    assert host.sh(f"stat -c '%a %s' {PENDING}") == "644 0"
    host.check(["rm", PENDING])
    host.check(old.MIGRATE)
    assert host.run(["test", "-e", PENDING]).returncode != 0


def test_a_newer_database_is_refused_with_both_revisions_and_the_way_back(host: Host) -> None:
    host.check(old.MIGRATE)
    dump = host.sh(f"ls {old.BACKUPS}/*-to-*")
    newer = "ffffffffffff"
    host.sh(f"cp {dump} {old.BACKUPS}/{old.HEAD}-to-{newer}-manager-29990101T000000Z.dump")
    old.sql(host, f"UPDATE alembic_version SET version_num = '{newer}'", old.NAME)
    result = host.run(old.MIGRATE)
    assert result.returncode == 1
    for word in (newer, old.HEAD, f"{old.HEAD}-to-{newer}-manager-29990101T000000Z.dump"):
        assert word in result.stderr


def test_too_little_space_is_seen_before_anything_is_stopped(host: Host) -> None:
    host.sh(f"mkdir -p {old.BACKUPS}; mount -t tmpfs -o size=1m tmpfs {old.BACKUPS}")
    result = host.run(old.MIGRATE)
    assert result.returncode == 1 and "MB are free" in result.stderr
    assert host.run(["test", "-e", old.RECORD]).returncode != 0


def test_a_database_that_is_not_ours_is_refused(host: Host) -> None:
    old.sql(host, "DROP TABLE alembic_version", old.NAME)
    before = old.rows(host)
    result = host.run(old.MIGRATE)
    assert result.returncode == 1 and "no schema revision" in result.stderr
    assert old.rows(host) == before


def test_a_creation_that_was_cut_off_is_made_again(host: Host) -> None:
    for delay in (0.0, 2.0, 2.6, 3.0):
        old.sql(host, f"DROP DATABASE {old.NAME} WITH (FORCE)")
        host.check(["rm", "-f", old.RECORD])
        host.check(["backendai-ctl", "reconfigure", "--only", "create-databases"])
        result = old.interrupted(host, "creating", delay, KILL)
        assert result.returncode in (0, 137), result
        host.check(old.MIGRATE)
        assert old.revision(host) == old.HEAD
        assert old.leftovers(host) == []


def test_a_backup_restores_to_the_same_rows(host: Host) -> None:
    host.check(old.MIGRATE)
    before = old.rows(host)
    made = host.check(["backendai-ctl", "db", "backup", "--database", "manager"]).stdout.strip()
    old.sql(host, "DELETE FROM vfolders; UPDATE users SET full_name = 'x'", old.NAME)
    host.check(["backendai-ctl", "db", "restore", made])
    assert old.rows(host) == before
    host.sh(f"head -c 100000 {made} >/tmp/cut.dump")
    damaged = host.run(["backendai-ctl", "db", "restore", "/tmp/cut.dump"])
    assert damaged.returncode != 0
    assert old.rows(host) == before


def test_no_password_is_told(host: Host) -> None:
    """Neither in the processes' arguments and environment, nor in output, record and dump's name."""
    password = host.sh("cat /etc/backendai/secrets/database-manager")
    watch = (
        "for i in $(seq 200); do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; "
        "sleep 0.02; done | tr '\\0' '\\n' | sort -u >/tmp/seen & "
    )
    said = host.run(["/bin/sh", "-c", f"{watch} {' '.join(old.MIGRATE)}; r=$?; wait; exit $r"])
    assert said.returncode == 0, said
    seen = host.sh("cat /tmp/seen")
    assert "alembic.ini" in seen and "pg_dump" in seen
    assert password not in seen + said.stdout + said.stderr
    assert password not in host.sh(f"cat {old.RECORD}; ls {old.BACKUPS}")


def test_the_coordinators_database_is_migrated_the_same_way(host: Host) -> None:
    name = "backendai_appproxy"
    older, head = "825d283e0743", "a1b2c3d4e5f6"
    backup = ["backendai-ctl", "db", "migrate", "--database", "coordinator"]
    old.sql(host, f"DROP DATABASE {name} WITH (FORCE)")
    host.check(["backendai-ctl", "reconfigure", "--only", "create-databases"])
    old.upgrade_coordinator(host, name, older)
    old.sql(
        host,
        "INSERT INTO workers (authority, frontend_mode, protocol, hostname, use_tls, api_port, "
        "available_slots, occupied_slots, nodes, accepted_traffics, filtered_apps_only, status) "
        "VALUES ('w', 'PORT', 'HTTP', 'h', false, 1, 2, 3, 1, '{}', false, 'ALIVE')",
        name,
    )
    result = host.check(backup)
    assert f"{older} to {head}" in result.stdout
    assert old.sql(host, "SELECT version_num FROM alembic_version", name) == head
    assert old.sql(host, "SELECT authority, api_port FROM workers", name) == "w|1"
    [dump] = host.sh(f"ls {old.BACKUPS}").split()
    assert dump.startswith(f"{older}-to-{head}-coordinator-")


def assert_rows_kept(before: old.Rows, after: old.Rows) -> None:
    """Every row is there with the same values, in the columns that still exist."""
    wrong = []
    for table, had in before.items():
        if table in REBUILT or not had:
            continue
        columns = set(had[0]) & set(after[table][0]) - REWRITTEN.get(table, set())
        now = {_values(row, columns) for row in after[table]}
        lost = [row for row in had if _values(row, columns) not in now]
        if lost:
            wrong.append(f"{table}: {len(lost)} of {len(had)} rows changed, such as {lost[0]}")
    assert not wrong, "\n".join(wrong)


def _values(row: dict[str, object], columns: set[str]) -> str:
    return json.dumps({name: row[name] for name in sorted(columns)}, sort_keys=True)
