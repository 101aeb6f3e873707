"""Loading rows by the release's own loader, which converts and hashes as its services expect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backendai_ctl.database.databases import Target
from backendai_ctl.database.programs import programs, reason
from backendai_ctl.errors import Problem

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
        data = run.put("rows.json", json.dumps(rows))
        env = {"BACKEND_CONFIG_FILE": str(config)}
        done = run.backend_ai("mgr", "fixture", "populate", str(data), env=env)
    if done.returncode:
        raise Problem(
            f"{target.where}: loading rows failed: {reason(done)}",
            hint="see to it, then run: backendai-ctl reconfigure",
        )


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a basic string of TOML
