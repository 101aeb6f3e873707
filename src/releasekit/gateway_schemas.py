"""Dump the manager's three GraphQL schemas: `python -m releasekit.gateway_schemas MANAGER.pex`.

Written: schemas/{graphene,strawberry,public}.graphql. The manager needs no database for it, only a
configuration that it can parse; the addresses in it are never asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from releasekit.errors import Failure, run_main

SCHEMAS = {"graphene": (), "strawberry": ("--v2",), "public": ("--public",)}
TIMEOUT = 600  # seconds for one dump on a busy machine

CONFIG = """\
[etcd]
namespace = "local"
addr = { host = "127.0.0.1", port = 1 }

[db]
type = "postgresql"
addr = { host = "127.0.0.1", port = 1 }
name = "none"
user = "none"
password = "none"

[manager]
num-proc = 1
ipc-base-path = "ipc"
"""


def dump(pex: Path, name: str, options: tuple[str, ...], home: Path) -> str:
    """One schema, as the manager prints it. Raises Failure when the manager fails or writes nothing."""
    config = home / "manager.toml"
    config.write_text(CONFIG, "utf-8")
    target = home / f"{name}.graphql"
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "PEX_ROOT": str(home / "pex"),
        "BACKEND_CONFIG_FILE": str(config),
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
    }
    # fmt: off
    argv = [
        sys.executable, str(pex),
        "mgr", "api", "dump-gql-schema", *options,
        "--output", str(target),
    ]
    # fmt: on
    done = subprocess.run(
        argv, env=environment, cwd=home, capture_output=True, text=True, timeout=TIMEOUT
    )
    if done.returncode or not target.exists() or not target.stat().st_size:
        output = (done.stdout + done.stderr).strip()[-2000:]
        raise Failure(
            f"the manager did not dump its {name} schema (exit {done.returncode}):\n{output}",
            hint="run the command by hand with the manager's PEX",
        )
    return target.read_text("utf-8")


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m releasekit.gateway_schemas MANAGER.pex", file=sys.stderr)
        return 2
    os.umask(0o022)
    home, schemas = Path("home").absolute(), Path("schemas")
    home.mkdir()
    schemas.mkdir(exist_ok=True)  # Pants makes the folders of outputs
    for name, options in SCHEMAS.items():
        text = dump(Path(sys.argv[1]).absolute(), name, options, home)
        (schemas / f"{name}.graphql").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    run_main(main)
