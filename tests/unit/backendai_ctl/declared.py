"""What the BUILD files below packaging/ declare of components, servers and roles.

The macros themselves are run, with targets that only remember what they are given: what hosts are told is
what is tested.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from backendai_ctl.facts import Component, Database, OwnServer, Role, declared

PACKAGING = Path(__file__).parents[3] / "packaging"
_OTHER_TARGETS = (
    "backendai_pex",
    "backendai_server_tree",
    "backendai_tree",
    "gateway_bundle",
    "nfpm_content_file",
    "nfpm_content_folder",
    "nfpm_content_symlink",
    "nfpm_deb_package",
    "nfpm_rpm_package",
    "rendered_file",
)
_FACTS = ("component_facts", "server_facts", "role_facts")


@cache
def rows() -> dict[str, dict[str, dict[str, Any]]]:
    """{kind of facts: {name: what they hold}}, in the order of the files' paths."""
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _FACTS}

    def target(kind: str) -> Any:
        return lambda *, values, **_: found[kind].update({values["name"]: values})

    names: dict[str, Any] = {name: lambda **_: None for name in _OTHER_TARGETS}
    names |= {kind: target(kind) for kind in _FACTS}
    builds = [*PACKAGING.glob("components/*/BUILD"), *PACKAGING.glob("servers/*/BUILD")]
    for file in sorted(PACKAGING.glob("*macros.py")):
        exec(compile(file.read_text("utf-8"), str(file), "exec"), names)
    for file in (*sorted(builds), PACKAGING / "roles/BUILD"):
        exec(compile(file.read_text("utf-8"), str(file), "exec"), names)
    return found


def components() -> dict[str, Component]:
    """The components with a service."""
    return {name: Component(**declared(row)) for name, row in rows()["component_facts"].items()}


def servers() -> dict[str, OwnServer]:
    """The servers with a service."""
    return {name: OwnServer(**declared(row)) for name, row in rows()["server_facts"].items()}


def with_own_account() -> list[str]:
    """Names of the services and servers that have one."""
    found = (*components().values(), *servers().values())
    return sorted(service.name for service in found if service.user)


def roles() -> dict[str, Role]:
    """The roles, with the components and servers of above."""
    made, known, own = {}, components(), servers()
    for name, row in rows()["role_facts"].items():
        brought = [server for server in row["servers"] if server in own]
        made[name] = Role(
            **{
                **row,
                "components": tuple(one for one in row["components"] if one in known),
                "servers": tuple(one for one in brought if not own[one].optional),
                "beside": tuple(one for one in brought if own[one].optional),
            }
        )
    return made


def _database(name: str) -> Database:
    return next(c.database for c in components().values() if c.database and c.database.name == name)


MANAGER, COORDINATOR = _database("manager"), _database("coordinator")
_BROUGHT = {name for role in roles().values() for name in role.components}
# Secrets of a host with all that roles bring.
GENERATED = sorted(
    {
        secret
        for name, one in {**components(), **servers()}.items()
        if name in _BROUGHT or name in servers()
        for secret in (*one.secrets, one.etcd_secret, one.cache_secret)
        if secret
    }
)
