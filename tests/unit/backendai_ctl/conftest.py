"""Facts and contexts whose folders are below a test's own."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts, Paths
from backendai_ctl.platform import resolv
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import bridge, container_engine

if TYPE_CHECKING:
    from fake_etcd import FakeEtcd

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for loopback_servers

import declared
from site_nodes import at, templates  # noqa: F401  # fixtures


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are the same on whatever machine the tests run."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """The facts of a release, all that roles bring and every server installed, below tmp_path."""
    paths = Paths(
        environment=tmp_path / "opt/26.9.6",
        current=tmp_path / "opt/current",
        servers=tmp_path / "opt/servers",
        config=tmp_path / "etc",
        state=tmp_path / "var/lib",
        run=tmp_path / "run",
        backups=tmp_path / "var/backups",
        volumes=tmp_path / "vfroot",
        share=tmp_path / "share",
        units=tmp_path / "units",
    )
    for folder in (paths.config, paths.state, paths.run, paths.units, paths.share):
        folder.mkdir(parents=True)
    components, servers, roles = declared.components(), declared.servers(), declared.roles()
    brought = {name for role in roles.values() for name in role.components}
    for component in (*components.values(), *servers.values()):
        if component.name in brought or component.name in servers:
            (paths.units / component.unit).touch()
    return Facts(
        version="26.9.6",
        full_version="26.9.6-1",
        user="bai",
        uid=1100,
        gid=1100,
        paths=paths,
        components=components,
        roles=roles,
        servers=servers,
    )


class Accounts:
    """What `getent` says: rows of passwd(5) and group(5)."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.state = folder, state
        self.set(
            [f"bai:x:1100:1100:Backend.AI services:{state}:/usr/sbin/nologin"], ["bai:x:1100:"]
        )

    def set(
        self,
        accounts: Sequence[str],
        groups: Sequence[str],
        services: Sequence[str] = tuple(declared.with_own_account()),
    ) -> None:
        """Beside root, who is always there, and those of services' own. STATE is filled in."""
        numbered = [(f"backendai-{name}", 980 + n) for n, name in enumerate(services)]
        rows = {
            "passwd": [
                "root:x:0:0:root:/root:/bin/bash",
                *(
                    f"{name}:x:{n}:{n}::{self.state / name.removeprefix('backendai-')}:/usr/sbin/nologin"
                    for name, n in numbered
                ),
                *accounts,
            ],
            "group": ["root:x:0:", *(f"{name}:x:{n}:" for name, n in numbered), *groups],
        }
        for database, lines in rows.items():
            text = "".join(f"{line}\n" for line in lines).replace("STATE", str(self.state))
            (self.folder / database).write_text(text)


@pytest.fixture(autouse=True)
def host_accounts(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Accounts:
    """The accounts of a host that was configured: ours, and root's."""
    from backendai_ctl import accounts

    folder = tmp_path_factory.mktemp("accounts")
    program = folder / "getent"
    program.write_text(
        f"""#!/bin/sh
rows={folder}/$1
shift
[ $# -gt 0 ] || exec cat "$rows"
for key; do awk -F: -v key="$key" '$1 == key || $3 == key' "$rows"; done
"""
    )
    program.chmod(0o755)
    monkeypatch.setattr(accounts, "GETENT", str(program))
    monkeypatch.setattr(accounts, "_looked_at", set())
    return Accounts(folder, tmp_path / "var/lib")


@pytest.fixture
def site() -> Site:
    """What an absent site file means."""
    return Site()


@pytest.fixture
def ctx(facts: Facts, site: Site) -> Context:
    return Context(facts, site)


@pytest.fixture
def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def ready(ctx: Context) -> Context:
    """A host that has its secrets, and the templates that ship."""
    import shipped

    from backendai_ctl.steps import create_secrets

    shipped.templates(ctx.paths.share)
    create_secrets.CreateSecrets().apply(ctx)
    return ctx


@pytest.fixture
def etcd() -> Iterator[FakeEtcd]:
    """An etcd in memory, without users and keys."""
    from fake_etcd import FakeEtcd, running

    with running(FakeEtcd()) as fake:
        yield fake


@pytest.fixture
def there(facts: Facts, etcd: FakeEtcd) -> Context:
    """A host with its secrets and that etcd as its own."""
    from backendai_ctl.site.schema import Etcd

    made = Context(facts, Site(etcd=Etcd(endpoints=[etcd.endpoint])))
    for name in facts.holders():
        made.secrets.create(name)
    return made


@pytest.fixture(autouse=True)
def of_no_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine of the tests has of name servers, bridges and engines changes nothing."""
    monkeypatch.setattr(resolv, "FILE", tmp_path / "no-resolv.conf")
    monkeypatch.setattr(container_engine.units, "FOLDER", tmp_path / "no-units")
    monkeypatch.setattr(bridge, "interfaces", list)
