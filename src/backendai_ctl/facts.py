"""Facts about the installed release: versions, paths, the user, the components and their ports.

They come from packaging/release.toml and the components' BUILD files by way of JSON files that
the packages install below /usr/share/backendai; nothing here repeats them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendai_ctl.errors import Problem

SHARE = Path("/usr/share/backendai")
UNITS = Path("/usr/lib/systemd/system")
MANAGER = "manager"  # whose database has the site's users, groups and settings
CERTIFICATE = "tls/server.crt"  # as a component's credentials name it
USERS, NODES, CONTAINERS = "users", "nodes", "containers"  # who comes to a port
EACH, NEAREST = "each", "nearest"  # to which of several services a caller connects


@dataclass(frozen=True)
class Paths:
    """Folders of a host, from [paths] of the release's table."""

    environment: Path  # /opt/backendai/VERSION
    current: Path  # /opt/backendai/current
    servers: Path  # /opt/backendai/servers
    config: Path  # /etc/backendai
    state: Path  # /var/lib/backendai
    run: Path  # /run/backendai
    backups: Path  # /var/backups/backendai
    volumes: Path  # /vfroot
    share: Path = SHARE
    units: Path = UNITS

    @property
    def site_file(self) -> Path:
        return self.config / "site.toml"

    @property
    def secrets(self) -> Path:
        return self.config / "secrets"

    @property
    def tls(self) -> Path:
        return self.config / "tls"

    @property
    def ctl(self) -> Path:
        """What backendai-ctl keeps for itself: journal, bases of merges, flags."""
        return self.state / "ctl"

    def ready(self, service: str) -> Path:
        """The flag that allows a service to start; it is there once we have started it."""
        return self.ctl / "ready" / service

    @property
    def python(self) -> Path:
        return self.current / "bin/python"


@dataclass(frozen=True)
class Database:
    """A database of a component, as its BUILD file declares it."""

    name: str  # what site files and backendai-ctl call it
    component: str  # whose it is: it is stopped while the schema changes
    default: str  # name of the database and of the role that owns it
    scripts: str  # the package and folder with Alembic's scripts, as Alembic writes it
    landmark: str  # a table that only this one has, in every release
    holds: str = ""  # what is in it, for people
    create: tuple[str, ...] = ()  # words of `backend.ai` that make its tables; none: Alembic does
    seeded: str | None = None  # a table without which upstream's migrations stop; it has rows

    @property
    def secret(self) -> str:
        """The secret that is the password of its role."""
        return f"database-{self.name}"


@dataclass(frozen=True)
class Component:
    """One component as its BUILD file declares it."""

    name: str
    summary: str
    unit: str  # backendai-manager.service; empty: no service
    config: str  # manager.toml: its file below the configuration folder
    ports: dict[str, int] = field(default_factory=dict)  # what for -> default port
    health: str = ""  # URL with {what} for ports, such as http://127.0.0.1:{internal}/health
    after: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()  # files below the configuration folder that it is given, too
    metrics: str = ""  # as `health`: where it shows its figures; empty: nowhere
    uses: tuple[str, ...] = ()  # servers that it logs in to
    # COMPONENT:PORT -> "each": of the whole site; "nearest": of its own node, else of the first.
    calls: dict[str, str] = field(default_factory=dict)
    # What for -> who comes to that port: "users", "nodes"; nobody but this host to others.
    serves: dict[str, str] = field(default_factory=dict)
    # What for -> (first port, last, who comes: as in `serves`, or "containers") besides `ports`.
    opens: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()  # names of generated secrets that it holds
    # Prefix of keys below those of the services -> "read", "write", or "own": to write below the names of
    # the agents of its node.
    etcd_keys: dict[str, str] = field(default_factory=dict)
    resident: int = 0  # MB of memory once all is up, as measured on two cores
    volumes: bool = False  # it works on users' folders
    cache_databases: tuple[int, ...] = ()  # of Valkey, for a login of its own; none: as most do
    database: Database | None = None
    user: str = ""  # the account it runs as; empty: the site's, whose the files of users are

    @property
    def etcd_secret(self) -> str:
        """The secret that is the password of its login at the site's own etcd; empty: it has none."""
        return f"etcd-{self.name}" if self.etcd_keys else ""

    @property
    def cache_secret(self) -> str:
        """The secret that is the password of its own login at the site's own Valkey; empty: it has none."""
        return f"cache-{self.name}" if self.cache_databases else ""


@dataclass(frozen=True)
class OwnServer(Component):
    """A server that the site brings along, as its BUILD file declares it."""

    templates: tuple[str, ...] = ()  # its files below the configuration folder that are made here
    bin: str = "bin"  # folder of its tree with programs that others call
    optional: bool = False  # the site does without it; it runs wherever its package is


@dataclass(frozen=True)
class Role:
    """What a node can be for, as packaging/roles/BUILD declares it."""

    name: str  # as site files say it: management
    package: str  # backendai-management-node
    summary: str
    components: tuple[str, ...]  # those with a service
    servers: tuple[str, ...] = ()  # backing servers of the site that run where the role is
    beside: tuple[str, ...] = ()  # and those that the site does without
    takes: bool = False  # nodes of other roles leave its components to it


@dataclass(frozen=True)
class Facts:
    """All facts. `components` are those of the release; see `installed` for those of this host.

    `only`: the components that a site of several nodes has on this one; None: all that there are.
    `units_known`: whether units are looked for; not on behalf of another node.
    """

    version: str  # of Backend.AI, as in 26.9.6
    full_version: str  # with the revision of the packaging, as in 26.9.6-1
    user: str
    uid: int
    gid: int
    paths: Paths
    components: dict[str, Component]
    roles: dict[str, Role] = field(default_factory=dict)
    servers: dict[str, OwnServer] = field(default_factory=dict)
    user_title: str = ""  # of the user, for people: the comment of its account
    only: frozenset[str] | None = None
    units_known: bool = True

    def installed(self) -> tuple[str, ...]:
        """Names of the components whose unit is on this host, in the order of the release.

        Without those that the site has on other nodes.
        """
        return tuple(
            name
            for name, component in self.components.items()
            if component.unit
            and (self.only is None or name in self.only)
            and (not self.units_known or (self.paths.units / component.unit).exists())
        )

    def on_request(self) -> frozenset[str]:
        """Names of the components that no role brings: they run where somebody installed them."""
        brought = {name for role in self.roles.values() for name in role.components}
        return frozenset(self.components) - brought if self.roles else frozenset()

    def absent(self) -> frozenset[str]:
        """Names of the components on request that nobody installed on this host."""
        return self.on_request() - set(self.installed())

    def services(self) -> dict[str, Component]:
        """Components and servers of the release by name, wherever they run."""
        return {**self.components, **self.servers}

    def using(self, server: str) -> tuple[str, ...]:
        """Names of the components that log in to a server."""
        return tuple(n for n, component in self.components.items() if server in component.uses)

    def callers(self, component: str, port: str) -> dict[str, str]:
        """Who connects to a port, and to which of several: {name: "each" or "nearest"}."""
        called = f"{component}:{port}"
        return {n: c.calls[called] for n, c in self.services().items() if called in c.calls}

    def for_users(self, component: str, port: str) -> bool:
        """Whether browsers and clients come to a port."""
        known = self.services().get(component)
        return bool(known and known.serves.get(port) == USERS)

    def carriers(self) -> tuple[str, ...]:
        """Names of the components that carry users to the apps of sessions, a port for each app."""
        return tuple(
            name
            for name, component in self.components.items()
            if any(who == USERS for _, _, who in component.opens.values())
        )

    def serving(self) -> tuple[str, ...]:
        """Names of the components that serve by the site's certificate."""
        return tuple(n for n, c in self.components.items() if CERTIFICATE in c.credentials)

    def certified(self) -> tuple[str, ...]:
        """Names of the components that serve by the site's certificate, or call one that does."""
        serving = self.serving()
        return tuple(
            name
            for name, component in self.components.items()
            if name in serving
            or any(self.for_users(*called.split(":")) for called in component.calls)
        )

    def on_volumes(self) -> tuple[str, ...]:
        """Names of the components that work on users' folders."""
        return tuple(name for name, component in self.components.items() if component.volumes)

    def databases(self) -> tuple[Database, ...]:
        """The databases of the release, the manager's first."""
        found = (c.database for c in self.components.values() if c.database)
        return tuple(sorted(found, key=lambda database: database.name != MANAGER))

    def holders(self) -> dict[str, frozenset[str]]:
        """Names of the secrets that are generated at a site -> the components and servers that hold each."""
        found: dict[str, set[str]] = {}
        for name, service in self.services().items():
            own = filter(None, [service.etcd_secret, service.cache_secret])
            for secret in (*service.secrets, *own):
                found.setdefault(secret, set()).add(name)
        return {secret: frozenset(found[secret]) for secret in sorted(found)}

    def optional(self) -> tuple[str, ...]:
        """Names of the servers on this host that the site would do without."""
        return tuple(
            name
            for name, server in self.servers.items()
            if server.optional and self.units_known and (self.paths.units / server.unit).exists()
        )


def load(share: Path = SHARE) -> Facts:
    """Read the facts; Problem if the installation is not complete."""
    release = _read(share / "release.json")
    components = {row["name"]: Component(**row) for row in _rows(share / "components")}
    servers = {row["name"]: OwnServer(**row) for row in _rows(share / "servers")}
    paths = {key: Path(value) for key, value in release["paths"].items()}
    known = Paths.__dataclass_fields__
    return Facts(
        version=release["version"],
        full_version=release["full_version"],
        user=release["user"]["name"],
        uid=int(release["user"]["uid"]),
        gid=int(release["user"]["gid"]),
        user_title=release["user"]["description"],
        paths=Paths(**{key: path for key, path in paths.items() if key in known}, share=share),
        components=components,
        roles=_roles(share, components, servers),
        servers=servers,
    )


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    """What each file of a folder holds, as the facts have it."""
    for path in sorted(folder.glob("*.json")):
        yield declared(_read(path))


def declared(row: dict[str, Any]) -> dict[str, Any]:
    """What a BUILD file declares of a component or a server, with lists as the facts have them."""
    made = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    made["opens"] = {what: tuple(ports) for what, ports in row.get("opens", {}).items()}
    if given := row.get("database"):
        given = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
        made["database"] = Database(component=row["name"], **given)
    return made


def _roles(
    share: Path, components: dict[str, Component], servers: dict[str, OwnServer]
) -> dict[str, Role]:
    """The roles of the release by name, in the order of its table."""
    found = {}
    for row in _read(share / "roles.json")["roles"]:
        row["components"] = tuple(name for name in row["components"] if name in components)
        row["beside"] = tuple(n for n in row["servers"] if n in servers and servers[n].optional)
        row["servers"] = tuple(name for name in row["servers"] if name not in row["beside"])
        found[row["name"]] = Role(**row)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return data
    except (OSError, ValueError) as error:
        raise Problem(
            f"{path}: {error}",
            hint="install the package again: apt install --reinstall backendai-ctl",
        ) from error
