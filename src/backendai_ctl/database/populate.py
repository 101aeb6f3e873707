"""The release's own commands on the manager's database, which write as its services expect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import tomlkit

from backendai_ctl.database.databases import Target
from backendai_ctl.database.programs import Programs, programs
from backendai_ctl.database.reasons import reason
from backendai_ctl.errors import Problem
from backendai_ctl.platform.run import Done
from backendai_ctl.topology.addresses import trust_file

_PROVISION = ("permissions", "provision")


def populate(target: Target, rows: Mapping[str, Any], *, roles: bool = False) -> None:
    """Load {table: rows}, in this order, a transaction for each table; Problem if it fails.

    Rows that are there already stay as they are. With "__mode": "update" rows are changed, by
    primary key. The file with the rows is readable by the services' user alone, and removed.
    With `roles` what `provision` does comes after them.
    """
    with programs(target) as run:
        data = run.put("rows.json", json.dumps(rows))
        calls = [("fixture", "populate", str(data)), *([_PROVISION] if roles else [])]
        _well(target, "loading rows", _manage(run, *calls))


def provision(target: Target) -> None:
    """Make the roles that the presets call for and give them to their users; Problem if it fails.

    One transaction. What is there already stays as it is.
    """
    with programs(target) as run:
        _well(target, "making roles", _manage(run, _PROVISION))


def rescan(target: Target, registry: str) -> None:
    """Have the images of a registry read into the database; Problem if the program fails.

    It says little of what it finds: look at what it did.
    """
    trust = {"SSL_CERT_FILE": str(trust_file(target.ctx, "manager"))}
    with programs(target) as run:
        _well(target, f"reading {registry}", _manage(run, ("image", "rescan", registry), env=trust))


def _manage(
    run: Programs, *calls: Sequence[str], env: Mapping[str, str] = MappingProxyType({})
) -> Done:
    """`backend.ai mgr WORDS`, one after the other, with a configuration for this database alone."""
    target = run.target
    host, port = run.member
    settings = {
        "etcd": {"namespace": "none", "addr": {"host": "127.0.0.1", "port": 2379}},
        "db": {
            "type": "postgresql",
            "addr": {"host": host, "port": port},
            "name": target.dbname,
            "user": target.user,
            "password": target.password,
        },
        "manager": {"num-proc": 1, "ipc-base-path": str(run.folder)},
    }
    config = run.put("manager.toml", tomlkit.dumps(settings))
    return run.backend_ai(
        *(["mgr", *words] for words in calls), env={"BACKEND_CONFIG_FILE": str(config), **env}
    )


def _well(target: Target, what: str, done: Done) -> None:
    if done.returncode:
        why = reason(done.stderr or done.stdout, done.returncode)
        raise Problem(
            f"{target.where}: {what} failed: {why}",
            hint="fix the cause, then run: backendai-ctl reconfigure",
        )
