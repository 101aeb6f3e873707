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
ADMIN_UNITS = Path("/etc/systemd/system")


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
        """What backendai-ctl keeps for itself: journal, bases of merges, marks."""
        return self.state / "ctl"

    def ready(self, service: str) -> Path:
        """The mark that allows a service to start; it is there once we have started it."""
        return self.ctl / "ready" / service

    @property
    def python(self) -> Path:
        return self.current / "bin/python"


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


@dataclass(frozen=True)
class OwnServer(Component):
    """A server that the site brings along, as its BUILD file declares it."""

    user: str = ""  # the account it runs as
    templates: tuple[str, ...] = ()  # its files below the configuration folder that are made here
    bin: str = "bin"  # folder of its tree with programs that others call


@dataclass(frozen=True)
class Role:
    """What a node can be for, as packaging/roles/BUILD declares it."""

    name: str  # as site files say it: management
    package: str  # backendai-management-node
    summary: str
    components: tuple[str, ...]  # those with a service
    servers: tuple[str, ...] = ()  # backing servers of the site that run where the role is
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
        roles=_roles(share, components),
        servers=servers,
    )


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    """What each file of a folder holds, with its lists as the facts have them."""
    for path in sorted(folder.glob("*.json")):
        yield {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in _read(path).items()
        }


def _roles(share: Path, components: dict[str, Component]) -> dict[str, Role]:
    """The roles of the release by name, in the order of its table."""
    found = {}
    for row in _read(share / "roles.json")["roles"]:
        row["components"] = tuple(name for name in row["components"] if name in components)
        row["servers"] = tuple(row["servers"])
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
