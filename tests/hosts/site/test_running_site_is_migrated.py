"""Promise: on a site that runs, the manager is down while its schema changes, and comes back by itself."""

from __future__ import annotations

import old_database as old
from host import Host
from site_host import SiteHost

UNIT = "backendai-manager.service"
READY = "/var/lib/backendai/ctl/ready/manager"
OLDER = "/var/tmp/older.dump"
PEOPLE = "SELECT count(*), md5(string_agg(u::text, ',' ORDER BY uuid)) FROM users u"
RESTORE = ["backendai-ctl", "db", "restore"]


def started(host: Host) -> str:
    """The process of the manager; 0: none."""
    return host.check(["systemctl", "show", UNIT, "--property=MainPID", "--value"]).stdout.strip()


def test_the_manager_comes_back_at_the_new_schema(allinone: SiteHost) -> None:
    host = allinone.host
    people, first = old.sql(host, PEOPLE, old.NAME), started(host)
    now = host.check(["backendai-ctl", "db", "backup", "--database", "manager"]).stdout.strip()
    assert started(host) == first  # a backup stops nothing
    old.template(host)
    old.dump(host, OLDER)
    of_old = old.sql(host, "SELECT count(*) FROM users", old.TEMPLATE)

    host.check([*RESTORE, OLDER], timeout=300)
    assert (old.revision(host), started(host)) == (old.OLD, "0")
    host.check(old.MIGRATE, timeout=300)
    assert old.revision(host) == old.HEAD
    assert old.sql(host, "SELECT count(*) FROM users", old.NAME) == of_old
    assert started(host) not in ("0", first)
    allinone.wait_healthy()

    # The packages of an older release came back: they let nothing start on a newer schema.
    host.sh(f"systemctl stop {UNIT}; : >{READY}")
    old.sql(host, "UPDATE alembic_version SET version_num = 'of-a-newer-one'", old.NAME)
    newer = host.run(["backendai-ctl", "reconfigure"], timeout=300)
    assert newer.returncode == 1 and started(host) == "0", newer
    host.check([*RESTORE, now], timeout=300)
    assert started(host) != "0"
    allinone.wait_healthy()
    status = allinone.ctl("status")
    assert not status["unfinished"] and not status["pending"], status

    # A database that no release can be at: refused, and replaced by a dump all the same.
    old.sql(host, "INSERT INTO alembic_version VALUES ('by-hand')", old.NAME)
    refused = host.run(old.MIGRATE)
    assert refused.returncode == 1 and "at 2 revisions at once" in refused.stderr, refused
    host.check([*RESTORE, now], timeout=300)
    assert (old.revision(host), old.sql(host, PEOPLE, old.NAME)) == (old.HEAD, people)
    allinone.wait_healthy()
