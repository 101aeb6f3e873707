"""An account that exists for one acceptance, and what the administrator says of the site."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from backendai_ctl.acceptance.browser import Browser
from backendai_ctl.acceptance.deployment import DELETE
from backendai_ctl.errors import Problem
from backendai_ctl.platform import deadline
from backendai_ctl.topology import layout

# Nobody else has an address there: RFC 2606.
HOST = "accept.invalid"
BASIC = ("cpu", "mem")
_DOMAIN = "default"  # new users' domain, as webserver.conf has it
_PROJECTS = 'query ($d: String!) { groups(domain_name: $d, type: ["GENERAL"]) { id name } }'
_AGENTS = """
query { agent_list(limit: 1000, offset: 0, status: "ALIVE", order: "id") {
  items { id scaling_group schedulable available_slots occupied_slots }
} }
"""
_IMAGES = "query { images { name tag registry size_bytes labels { key value } } }"
_LEFT = """
query ($f: String!) { user_list(limit: 100, offset: 0, filter: $f) { items { email uuid } } }
"""
_RUNNING = """
query ($owner: UUID!, $f: String!) {
  adminDeployments(
    filter: {createdUserId: {equals: $owner}, status: {notIn: [STOPPED]}}, limit: 100
  ) { edges { node { entityId } } }
  compute_session_list(limit: 100, offset: 0, filter: $f) { items { session_id } }
}
"""
_END = """
mutation ($ids: [ID!]!) { terminateSessionsV2(sessionIds: $ids, forced: true) { skipped } }
"""
_ENDING = 240.0  # seconds: the manager ends deployments at its own pace
_LOOK = 3.0  # seconds between two looks
_MAKE = """
mutation ($input: CreateUserV2Input!) {
  adminCreateUserV2(input: $input) { keypair { keypair { accessKey } secretKey } }
}
"""
_PURGE = """
mutation ($email: String!) {
  purge_user(email: $email, props: {purge_shared_vfolders: true}) { ok msg }
}
"""


@dataclass(frozen=True)
class Agent:
    """An agent that the manager hears of. `cores`: of its CPU, those that are free; `devices`: {slot of an
    accelerator: how many are free}."""

    id: str
    group: str
    cores: int
    devices: dict[str, float]

    @property
    def node(self) -> str:
        return self.id.removeprefix("i-")


@dataclass(frozen=True)
class Account:
    """Of a user, in one project. The keys are those of its requests to the manager's API."""

    email: str
    password: str = field(repr=False)
    domain: str
    project: str
    project_id: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)


def agents(admin: Browser) -> list[Agent]:
    """Those in which people compute, by their ids."""
    rows = admin.query(_AGENTS)["agent_list"]["items"]
    compute = (row for row in rows if row["schedulable"] and row["scaling_group"] != layout.SFTP)
    return [_agent(row) for row in compute]


def _agent(row: dict[str, Any]) -> Agent:
    has, used = json.loads(row["available_slots"]), json.loads(row["occupied_slots"])
    free = {
        name: float(amount) - float(used.get(name, 0))
        for name, amount in has.items()
        if float(amount) > 0
    }
    devices = {name: amount for name, amount in free.items() if name not in BASIC}
    return Agent(row["id"], row["scaling_group"], int(free.get("cpu", 0)), devices)


def notebook_image(admin: Browser) -> str:
    """The smallest image that the manager knows with JupyterLab in it. Problem if there is none."""
    found = []
    for row in admin.query(_IMAGES)["images"]:
        labels = {label["key"]: label["value"] for label in row["labels"]}
        ports = labels.get("ai.backend.service-ports", "").split(",")
        if any(port.startswith("jupyterlab:") for port in ports):
            size = int(row["size_bytes"] or 0)
            found.append((size, f"{row['registry']}/{row['name']}:{row['tag']}"))
    if not found:
        raise Problem(
            "the manager knows no image with JupyterLab",
            hint="see: backendai-ctl image list; or name another one with --image",
        )
    return min(found)[1]


def host_of(node: str) -> str:
    """What addresses of accounts end with that are made on a node: another one may be at it as well."""
    return f"{hashlib.sha256(node.encode()).hexdigest()[:8]}.{HOST}" if node else HOST


def make(admin: Browser, host: str, role: str = "USER") -> Account:
    """An account in a project, of an ordinary user by default; `clear` removes it, with all that it made.

    `host`: of its address, see host_of.
    """
    name = f"accept-{secrets.token_hex(4)}"
    projects = admin.query(_PROJECTS, d=_DOMAIN)["groups"]
    if not projects:
        raise Problem(f"the domain {_DOMAIN} has no project", hint="make one in the web UI")
    project = min(projects, key=lambda one: (one["name"] != _DOMAIN, one["name"]))
    email, password = f"{name}@{host}", f"A1-{secrets.token_urlsafe(18)}"
    made = admin.query(
        _MAKE,
        input={
            "email": email,
            "username": name,
            "password": password,
            "domainName": _DOMAIN,
            "needPasswordChange": False,
            "status": "ACTIVE",
            "role": role,
            "groupIds": [project["id"]],
            "resourcePolicy": "default",
            "totpActivated": False,
            "sudoSessionEnabled": False,
        },
    )["adminCreateUserV2"]["keypair"]
    key = made["keypair"]["accessKey"]
    return Account(email, password, _DOMAIN, project["name"], project["id"], key, made["secretKey"])


def clear(admin: Browser, host: str) -> None:
    """Remove every account of acceptances from there, with all that it made. Raises Problem."""
    rows = admin.query(_LEFT, f=f'email ilike "%@{host}"')["user_list"]["items"]
    for row in rows:
        _end(admin, row["email"], row["uuid"])
        told = admin.query(_PURGE, email=row["email"])["purge_user"]
        if not told["ok"]:
            raise Problem(f"{row['email']} could not be removed: {told['msg']}")


def _end(admin: Browser, email: str, owner: str) -> None:
    """Until an account has neither deployments nor sessions.

    Removed with them, it would leave their addresses at the app proxy; and folders that sessions use stay.
    """
    active = f'(user_email == "{email}") & ((status != "TERMINATED") & (status != "CANCELLED"))'
    until = time.monotonic() + deadline.left(_ENDING)
    while True:
        told = admin.query(_RUNNING, owner=owner, f=active)
        deployments = [edge["node"]["entityId"] for edge in told["adminDeployments"]["edges"]]
        sessions = [row["session_id"] for row in told["compute_session_list"]["items"]]
        if not deployments and not sessions:
            return
        if time.monotonic() > until:
            raise Problem(
                f"{email} still has {len(deployments)} deployments and {len(sessions)} sessions"
            )
        for number in deployments:
            admin.query(DELETE, input={"id": number})
        if sessions:
            admin.query(_END, ids=sessions)
        time.sleep(_LOOK)
