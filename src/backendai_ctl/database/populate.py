"""The release's own commands on the manager's database, which write as its services expect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backendai_ctl.database.databases import Target
from backendai_ctl.database.programs import Programs, programs
from backendai_ctl.database.reasons import reason
from backendai_ctl.errors import Problem
from backendai_ctl.system.run import Done

_MANAGER = """\
[etcd]
namespace = "none"
addr = {{ host = "127.0.0.1", port = 2379 }}
[db]
type = "postgresql"
addr = {{ host = {host}, port = {port} }}
name = {name}
user = {user}
password = {password}
[manager]
num-proc = 1
ipc-base-path = {folder}
"""


def populate(target: Target, rows: Mapping[str, Any]) -> None:
    """Load {table: rows}, in this order, a transaction for each table; Problem if it fails.

    Rows that are there already stay as they are. With "__mode": "update" rows are changed, by
    primary key. The file with the rows is readable by the services' user alone, and removed.
    """
    with programs(target) as run:
        data = run.put("rows.json", json.dumps(rows))
        _well(target, "loading rows", _manage(run, "fixture", "populate", str(data)))


def provision(target: Target) -> None:
    """Make the roles that the presets call for and give them to their users; Problem if it fails.

    One transaction. What is there already stays as it is.
    """
    with programs(target) as run:
        _well(target, "making roles", _manage(run, "permissions", "provision"))


def _manage(run: Programs, *words: str) -> Done:
    """`backend.ai mgr WORDS` with a configuration for this database alone."""
    target = run.target
    config = run.put(
        "manager.toml",
        _MANAGER.format(
            host=_toml(run.member[0]),
            port=run.member[1],
            name=_toml(target.dbname),
            user=_toml(target.user),
            password=_toml(target.password),
            folder=_toml(str(run.folder)),
        ),
    )
    return run.backend_ai("mgr", *words, env={"BACKEND_CONFIG_FILE": str(config)})


def _well(target: Target, what: str, done: Done) -> None:
    if done.returncode:
        why = reason(done.stderr or done.stdout, done.returncode)
        raise Problem(
            f"{target.where}: {what} failed: {why}",
            hint="see to it, then run: backendai-ctl reconfigure",
        )


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a basic string of TOML
