"""A manager's database of release 26.8.3 on a host, and what is in a database now."""

from __future__ import annotations

import json
import lzma
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from host import Host, Result
from own_servers import PORTS, as_superuser
from own_servers import sql as sql

DUMP = Path(__file__).resolve().parent / "data/manager-26.8.3.sql.xz"
OLD = "b93d1c47af52"  # head of 26.8.3
HEAD = "d1117da8d8bd"  # head of 26.9.6
REVISIONS = 107  # between them
NAME = "backendai"  # database and role of the manager, by default
RECORD = "/var/lib/backendai/ctl/migration-manager.json"
BACKUPS = "/var/backups/backendai"
MIGRATE = ["backendai-ctl", "db", "migrate", "--database", "manager"]
TEMPLATE = "backendai_26_8_3"
_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1
"""

Rows = Mapping[str, list[dict[str, Any]]]


def prepare(host: Host) -> None:
    """Make the role, and a template of the old database; services that use it are stopped."""
    host.run(["systemctl", "stop", "backendai-manager.service"])
    host.check(["backendai-ctl", "reconfigure", "--only", "create-secrets"])
    host.check(["backendai-ctl", "reconfigure", "--only", "create-databases"])
    template(host)


def template(host: Host) -> None:
    """A database beside the manager's, as 26.8.3 left its own."""
    sql(host, f"DROP DATABASE IF EXISTS {TEMPLATE}")
    sql(host, f"CREATE DATABASE {TEMPLATE} OWNER {NAME} TEMPLATE template0 ENCODING 'UTF8'")
    text = lzma.decompress(DUMP.read_bytes()).decode()
    sql(host, f"SET ROLE {NAME};\n{text}", TEMPLATE)


def reset(host: Host) -> None:
    """The manager's database as 26.8.3 left it, nothing of an earlier run beside it."""
    sql(host, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    sql(host, f"CREATE DATABASE {NAME} OWNER {NAME} TEMPLATE {TEMPLATE}")
    host.sh(f"rm -rf {RECORD} {BACKUPS}/*")  # the folder itself may be a disk of a test's own


def dump(host: Host, file: str) -> None:
    """The template as a dump that `backendai-ctl db restore` takes."""
    words = shlex.join(as_superuser("pg_dump", "--format=custom", TEMPLATE))
    host.sh(f"umask 077; {words} >{file}")


def upgrade_coordinator(host: Host, name: str, revision: str) -> None:
    """Bring an empty database of the app proxy's coordinator to an older revision."""
    secret = host.sh("cat /etc/backendai/secrets/database-coordinator")
    url = f"postgresql+asyncpg://{name}:{secret}@127.0.0.1:{PORTS['postgresql']}/{name}"
    location = "ai.backend.appproxy.coordinator.models:alembic"
    ini = f"[alembic]\nscript_location = {location}\nsqlalchemy.url = {url}\n"
    for kind in ("loggers", "handlers", "formatters"):
        ini += f"[{kind}]\nkeys = {'root' if kind == 'loggers' else ''}\n"
    host.write("/tmp/coordinator.ini", f"{ini}[logger_root]\nhandlers =\n")
    sql(host, 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"', name)
    host.check(
        ["/opt/backendai/current/bin/alembic", "-c", "/tmp/coordinator.ini", "upgrade", revision]
    )


def revision(host: Host) -> str:
    return sql(host, "SELECT version_num FROM alembic_version", NAME)


def rows(host: Host) -> Rows:
    """All rows of all tables, each table's in a fixed order."""
    tables = sql(host, _TABLES, NAME).split()
    queries = "".join(
        f"SELECT '{table}', coalesce(jsonb_agg(t ORDER BY t::text), '[]') FROM public.{table} t;\n"
        for table in tables
    )
    lines = sql(host, queries, NAME).splitlines()
    return {table: json.loads(data) for table, _, data in (line.partition("|") for line in lines)}


def schema(host: Host) -> str:
    """The schema as pg_dump writes it, without what differs from one call to the next."""
    text = host.check(as_superuser("pg_dump", "--schema-only", NAME)).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.M)


def record(host: Host) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(host.check(["cat", RECORD]).stdout)
    return data


def leftovers(host: Host) -> list[str]:
    """What a run must not leave behind: private folders, half dumps, the marker."""
    found = host.check(["sh", "-c", f"ls -d /run/backendai/ctl/* {BACKUPS}/*.partial; true"])
    markers = sql(host, "SELECT relname FROM pg_class WHERE relname LIKE 'backendai_ctl%'", NAME)
    return [*found.stdout.split(), *markers.split()]


def interrupted(host: Host, phase: str, delay: float, act: str, timeout: float = 120) -> Result:
    """Migrate; once the record says `phase`, after `delay` seconds, do `act` ($ctl is its pid).

    Status 99: the phase was never reached, and nothing was injected.
    """
    script = f"""
        touch /tmp/began
        {" ".join(MIGRATE)} & ctl=$!
        # coreutils' test: the shell's own compares whole seconds.
        until /usr/bin/test {RECORD} -nt /tmp/began && grep -qs '"state": "{phase}"' {RECORD}; do
            kill -0 $ctl 2>/dev/null || exit 99
            sleep 0.01
        done
        sleep {delay}
        {act}
        wait $ctl
    """
    return host.run(["/bin/sh", "-c", script], timeout=timeout)
