"""Users of the etcd that we look after: root, and each service's own with a role for the keys it needs.

Where the site file gives one password for all services, they are one user with a role for all their keys.
What users can do is in BUILD files (`etcd_keys`). Every call may be repeated after a kill at any instant:
what is there already is no error.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.etcd.access import ROOT, connect, connect_as, services_prefix
from backendai_ctl.etcd.client import Client, Refused, end_of
from backendai_ctl.secrets import Secrets
from backendai_ctl.topology import layout
from backendai_ctl.topology.holders import of_nodes

_THERE = ("already exists",)
_GONE = ("not found", "is not granted")
_PING = "_"  # the key that upstream's client reads to learn whether etcd answers
_RIGHTS = {"read": "READ", "write": "READWRITE", "own": "READWRITE"}

Permission = dict[str, str]


@dataclass(frozen=True)
class _Login:
    """A user, whose role has its name. Not to be printed."""

    user: str
    password: str
    permissions: tuple[Permission, ...]


def enabled(client: Client) -> bool:
    """Whether etcd wants a login; Refused if it does not take ours."""
    return bool(client.login())


def missing(ctx: Context) -> list[tuple[str, str]]:
    """What services lack to work with etcd, and who could and should not: (about, what would be done)."""
    client, wanted = connect(ctx), list(_wanted(ctx))
    if not enabled(client):
        names = ", ".join([ROOT, *(login.user for login in wanted)])
        return [("etcd", f"require a login; users {names}")]
    there = _names(client)
    found = [row for login in wanted for row in _missing(ctx, client, there, login)]
    left = _left(ctx, there, wanted)
    return found + [(f"etcd user {user}", "remove it: no service has it") for user in left]


def create(ctx: Context) -> None:
    """Make users and roles what they should be, and require a login from then on."""
    client, wanted = connect(ctx), list(_wanted(ctx))
    closed = enabled(client)
    if not closed:
        # Without authentication nobody can tell whether root's password is ours: set it.
        _user(client, ROOT, ctx.secrets.get("etcd-root-password"))
        client.call("auth/user/grant", {"user": ROOT, "role": ROOT})
    there = _names(client)
    for login in wanted:
        # Each change ends the tokens of all: what is as it should be is left alone.
        if not closed or any(_missing(ctx, client, there, login)):
            _make(client, login)
    for user in _left(ctx, there, wanted):
        _delete(client, user)
    if not closed:
        client.call("auth/enable", {})


def remove(ctx: Context) -> None:
    """Require no login any more; without our users and roles."""
    client = connect(ctx)
    if enabled(client):
        client.call("auth/disable", {})
        client.login()
    # With none that is wanted, all that are services' are left.
    for user in (*_left(ctx, _names(client), ()), ROOT):
        _delete(client, user)


def _wanted(ctx: Context) -> Iterator[_Login]:
    """The logins of the whole site."""
    etcd, facts = ctx.site.etcd, ctx.facts
    using = [name for name in facts.using("etcd") if ctx.here(name)]
    if not etcd.logins:
        login = credentials.etcd_login(ctx, using[0]) if using else None
        if login:
            yield _Login(login.user, login.password, (_permission(ctx, "", "write"),))
        return
    of_others = ((node, ctx.secrets.of_node(node), secret) for node, secret in of_nodes(ctx))
    here = ((ctx.node, ctx.secrets, facts.components[name].etcd_secret) for name in using)
    for node, secrets, secret in (*here, *of_others):
        yield _login(ctx, node, secrets, secret)


def _login(ctx: Context, node: str, secrets: Secrets, secret: str) -> _Login:
    components = ctx.facts.components.values()
    component = next(one for one in components if one.etcd_secret == secret)
    given = [
        _permission(ctx, key, right)
        for prefix, right in component.etcd_keys.items()
        for key in (_of_agents(ctx, prefix, node) if right == "own" else [prefix])
    ]
    user = ctx.site.etcd.user_of(component.name, node)
    return _Login(user, secrets.get(secret), (*given, _permission(ctx, _PING, "read")))


def _of_agents(ctx: Context, prefix: str, node: str) -> list[str]:
    """Prefixes of what agents of a node keep: its own, and that of folders by SFTP.

    An agent of an earlier release has the whole name of its host, which begins as the node's.
    """
    if not node:
        return [f"{prefix}/"]
    agent = layout.agent_id(node)
    return [f"{prefix}/{agent}{end}" for end in ("/", ".", f"-{layout.SFTP}/")]


def _missing(
    ctx: Context, client: Client, there: set[str], login: _Login
) -> Iterator[tuple[str, str]]:
    about = f"etcd user {login.user}"
    if login.user not in there:
        yield about, "create it"
        return
    roles = client.call("auth/user/get", {"name": login.user}).get("roles", [])
    if login.user not in roles or _not_granted(client, login):
        yield f"etcd role {login.user}", "allow it to read and write the keys it needs"
    try:
        connect_as(ctx, login.user, login.password).login()
    except Refused:
        yield about, "set its password"


def _make(client: Client, login: _Login) -> None:
    _user(client, login.user, login.password)
    _tolerant(client, "auth/role/add", {"name": login.user}, _THERE)
    for permission in _not_granted(client, login):
        client.call("auth/role/grant", {"name": login.user, "perm": permission})
    client.call("auth/user/grant", {"user": login.user, "role": login.user})


def _names(client: Client) -> set[str]:
    return set(client.call("auth/user/list", {}).get("users", []))


def _left(ctx: Context, there: set[str], wanted: Iterable[_Login]) -> list[str]:
    """Users of services that none has any more: of a node that the site file no longer names."""
    name = ctx.site.etcd.user or ""
    made = {name, *(f"{name}-{component}" for component in ctx.facts.using("etcd"))}
    ours = {user for user in there if user.partition("@")[0] in made}
    return sorted(ours - {login.user for login in wanted})


def _delete(client: Client, name: str) -> None:
    _tolerant(client, "auth/user/delete", {"name": name}, _GONE)
    if name != ROOT:
        _tolerant(client, "auth/role/delete", {"role": name}, _GONE)


def _user(client: Client, name: str, password: str) -> None:
    body = {"name": name, "password": password}
    try:
        client.call("auth/user/add", body)
    except Refused as refused:
        _unless(refused, _THERE)
        client.call("auth/user/changepw", body)


def _not_granted(client: Client, login: _Login) -> list[Permission]:
    """What its role lacks."""
    try:
        answer = client.call("auth/role/get", {"role": login.user})
    except Refused as refused:
        _unless(refused, _GONE)
        return list(login.permissions)
    # etcd leaves out what is 0, which is READ.
    has = [{"permType": "READ", **given} for given in answer.get("perm", [])]
    return [wanted for wanted in login.permissions if wanted not in has]


def _permission(ctx: Context, key: str, right: str) -> Permission:
    prefix = services_prefix(ctx) + key
    ends = {"key": prefix, "range_end": end_of(prefix)}
    encoded = {name: base64.b64encode(end.encode()).decode() for name, end in ends.items()}
    return {"permType": _RIGHTS[right], **encoded}


def _tolerant(client: Client, path: str, body: Mapping[str, Any], fine: tuple[str, ...]) -> None:
    try:
        client.call(path, body)
    except Refused as refused:
        _unless(refused, fine)


def _unless(refused: Refused, fine: tuple[str, ...]) -> None:
    if not any(words in refused.message for words in fine):
        raise refused
