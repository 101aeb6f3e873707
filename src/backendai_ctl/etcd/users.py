"""Logins of the etcd that we look after: root, and the services' user with a role for its keys.

Every call may be repeated after a kill at any instant: what is there already is no error.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.etcd.access import ROOT, connect, connect_as_service, services_prefix
from backendai_ctl.etcd.client import Client, Refused, claims, end_of

_THERE = ("already exists",)
_GONE = ("not found", "is not granted")


def login_flag(ctx: Context) -> Path:
    """Holds the revision of etcd's users with which the services of this host logged in."""
    return ctx.paths.ctl / "etcd-login"


def enabled(client: Client) -> bool:
    """Whether etcd wants a login; Refused if it does not take ours."""
    return bool(client.login())


def revision(client: Client) -> int:
    """Of users and roles. Signed tokens given out before it changed are refused for ever."""
    return int(claims(client.login()).get("revision", 0))


def missing(ctx: Context) -> list[tuple[str, str]]:
    """What the services lack to work with etcd: (about, what would be done)."""
    client, user = connect(ctx), ctx.site.etcd.user or ""
    if not enabled(client):
        return [("etcd", f"require a login; users {ROOT} and {user}")]
    try:
        roles = client.call("auth/user/get", {"name": user}).get("roles", [])
    except Refused as refused:
        _unless(refused, _GONE)
        return [(f"etcd user {user}", "create it")]
    found = []
    if user not in roles or not _granted(client, ctx):
        prefix = services_prefix(ctx)
        found.append((f"etcd role {user}", f"allow it to read and write {prefix}"))
    try:
        connect_as_service(ctx).login()
    except Refused:
        found.append((f"etcd user {user}", "set its password"))
    return found


def create(ctx: Context) -> None:
    """Make users and role what they should be, and require a login from then on."""
    client, user = connect(ctx), ctx.site.etcd.user or ""
    if not enabled(client):
        # Without authentication nobody can tell whether root's password is ours: set it.
        _user(client, ROOT, ctx.secrets.get("etcd-root-password"))
        client.call("auth/user/grant", {"user": ROOT, "role": ROOT})
    _user(client, user, credentials.etcd_password(ctx) or "")
    _tolerant(client, "auth/role/add", {"name": user}, _THERE)
    if not _granted(client, ctx):
        client.call("auth/role/grant", {"name": user, "perm": _permission(ctx)})
    client.call("auth/user/grant", {"user": user, "role": user})
    if not enabled(client):
        client.call("auth/enable", {})


def remove(ctx: Context) -> None:
    """Require no login any more; without our users and role."""
    client, user = connect(ctx), ctx.site.etcd.user or ""
    if enabled(client):
        client.call("auth/disable", {})
        client.login()
    for name in (user, ROOT):
        _tolerant(client, "auth/user/delete", {"name": name}, _GONE)
    _tolerant(client, "auth/role/delete", {"role": user}, _GONE)


def _user(client: Client, name: str, password: str) -> None:
    body = {"name": name, "password": password}
    try:
        client.call("auth/user/add", body)
    except Refused as refused:
        _unless(refused, _THERE)
        client.call("auth/user/changepw", body)


def _granted(client: Client, ctx: Context) -> bool:
    try:
        answer = client.call("auth/role/get", {"role": ctx.site.etcd.user})
    except Refused as refused:
        _unless(refused, _GONE)
        return False
    return _permission(ctx) in answer.get("perm", [])


def _permission(ctx: Context) -> dict[str, str]:
    prefix = services_prefix(ctx)
    ends = {"key": prefix, "range_end": end_of(prefix)}
    encoded = {name: base64.b64encode(key.encode()).decode() for name, key in ends.items()}
    return {"permType": "READWRITE", **encoded}


def _tolerant(client: Client, path: str, body: Mapping[str, Any], fine: tuple[str, ...]) -> None:
    try:
        client.call(path, body)
    except Refused as refused:
        _unless(refused, fine)


def _unless(refused: Refused, fine: tuple[str, ...]) -> None:
    if not any(words in refused.message for words in fine):
        raise refused
