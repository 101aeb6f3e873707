"""Facts and contexts whose folders are below a test's own."""

from __future__ import annotations

import ast
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backendai_ctl import bridge, container_engine
from backendai_ctl.context import Context
from backendai_ctl.facts import Component, Facts, OwnServer, Paths, Role
from backendai_ctl.site.schema import Site
from backendai_ctl.system import resolv

if TYPE_CHECKING:
    from fake_etcd import FakeEtcd

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for loopback_servers

COMPONENTS = (
    Component(
        "manager",
        "Manager",
        "backendai-manager.service",
        "manager.toml",
        {"api": 8081, "internal": 18080},
        "http://127.0.0.1:{internal}/health",
    ),
    Component(
        "storage-proxy",
        "Storage proxy",
        "backendai-storage-proxy.service",
        "storage-proxy.toml",
        {"client": 6021, "manager": 6022, "internal": 16023},
        "http://127.0.0.1:{internal}/health",
    ),
    Component(
        "webserver",
        "Web server",
        "backendai-webserver.service",
        "webserver.conf",
        {"http": 8090},
        "http://127.0.0.1:{http}/health",
    ),
    Component(
        "gateway",
        "GraphQL gateway",
        "backendai-gateway.service",
        "gateway.json",
        {"graphql": 4000},
        "http://127.0.0.1:{graphql}/readiness",
    ),
    Component(
        "appproxy-coordinator",
        "App proxy coordinator",
        "backendai-appproxy-coordinator.service",
        "app-proxy-coordinator.toml",
        {"api": 10200},
        "http://127.0.0.1:{api}/status",
    ),
    Component(
        "appproxy-worker",
        "App proxy worker",
        "backendai-appproxy-worker.service",
        "app-proxy-worker.toml",
        {"api": 10201},
        "http://127.0.0.1:{api}/status",
        after=("backendai-appproxy-coordinator.service",),
    ),
    Component(
        "agent",
        "Agent",
        "backendai-agent.service",
        "agent.toml",
        {"rpc": 6001, "service": 6003, "stat": 6007},
        "http://127.0.0.1:{service}/health",
        credentials=("rpc/manager.key", "rpc/agent.key_secret"),
    ),
)


def declared_roles() -> dict[str, Role]:
    """The roles as packaging/roles/BUILD declares them."""
    build = Path(__file__).parents[3] / "packaging/roles/BUILD"
    known = {component.name for component in COMPONENTS}
    found = {}
    for node in ast.walk(ast.parse(build.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            words = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
            name = words["name"].removesuffix("-node")
            found[name] = Role(
                name,
                f"backendai-{words['name']}",
                words["summary"],
                tuple(c for c in words["components"] if c in known),
                tuple(words.get("servers", ())),
                words.get("takes", False),
            )
    return found


def declared_servers() -> dict[str, OwnServer]:
    """The servers that are used, as packaging/servers/NAME/BUILD declares them."""
    found = {}
    for build in sorted((Path(__file__).parents[3] / "packaging/servers").glob("*/BUILD")):
        call = next(
            n for n in ast.walk(ast.parse(build.read_text("utf-8"))) if isinstance(n, ast.Call)
        )
        wanted = {
            "name",
            "summary",
            "config",
            "listens",
            "health",
            "credentials",
            "templates",
            "bin",
        }
        given = {str(k.arg): k.value for k in call.keywords if k.arg in wanted}
        if "config" not in given:
            continue
        words = {key: ast.literal_eval(value) for key, value in given.items()}
        name = words["name"]
        found[name] = OwnServer(
            name=name,
            summary=words["summary"],
            unit=f"backendai-{name}.service",
            config=words["config"],
            ports=words.get("listens", {}),
            health=words.get("health", ""),
            credentials=tuple(words.get("credentials", ())),
            user=f"backendai-{name}",
            templates=tuple(words["templates"]),
            bin=words.get("bin", "bin"),
        )
    return found


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """The facts of a release, every component installed, all folders below tmp_path."""
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
    servers = declared_servers()
    for component in (*COMPONENTS, *servers.values()):
        (paths.units / component.unit).touch()
    return Facts(
        version="26.9.6",
        full_version="26.9.6-1",
        user="bai",
        uid=1100,
        gid=1100,
        paths=paths,
        components={component.name: component for component in COMPONENTS},
        roles=declared_roles(),
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
        servers: Sequence[str] = ("docker", "etcd", "postgresql", "valkey"),
    ) -> None:
        """Beside root, who is always there, and the accounts of our own servers. STATE is filled in."""
        numbered = [(f"backendai-{name}", 980 + n) for n, name in enumerate(servers)]
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
    create_secrets.STEP.apply(ctx)
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
    from backendai_ctl.secrets import GENERATED
    from backendai_ctl.site.schema import Etcd

    made = Context(facts, Site(etcd=Etcd(endpoints=[etcd.endpoint])))
    for name in GENERATED:
        made.secrets.create(name)
    return made


@pytest.fixture(autouse=True)
def of_no_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine of the tests has of name servers, bridges and engines changes nothing."""
    monkeypatch.setattr(resolv, "FILE", tmp_path / "no-resolv.conf")
    monkeypatch.setattr(container_engine, "ADMIN_UNITS", tmp_path / "no-units")
    monkeypatch.setattr(bridge, "interfaces", list)
