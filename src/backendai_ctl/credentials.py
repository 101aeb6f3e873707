"""Passwords of the servers the site uses: the operator's files, or what was generated here.

Every step and every rendered file takes them from here. They never enter argv, environments or
messages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Database
from backendai_ctl.platform import files


def database_password(ctx: Context, database: Database) -> str:
    """Password of the role that owns a database."""
    given = ctx.site.database.of(database.name).password_file
    return _password(ctx, given, database.secret)


def cache_password(ctx: Context) -> str:
    """Password of Valkey (or Redis)."""
    return _password(ctx, ctx.site.cache.password_file, "cache-password")


@dataclass(frozen=True)
class Login:
    """Not to be printed."""

    user: str
    password: str


def cache_root(ctx: Context) -> Login:
    """The login that may do everything at the site's own Valkey, on the host where that runs."""
    return Login("backendai-ctl", ctx.secrets.get("cache-root-password"))


def cache_login(ctx: Context, component: str) -> Login:
    """How a service logs in to Valkey; an empty user: as all do that have none of their own."""
    user = cache_user(ctx, component)
    if not user:
        return Login("", cache_password(ctx))
    return Login(user, ctx.secrets.get(ctx.facts.components[component].cache_secret))


def cache_user(ctx: Context, component: str) -> str:
    """The user of its own that a service has at Valkey; empty: it has none."""
    own = ctx.facts.components[component].cache_secret and not ctx.site.cache.password_file
    return component if own else ""


def etcd_login(ctx: Context, component: str) -> Login | None:
    """How a service of this host logs in to etcd; None where the site uses etcd without login."""
    etcd = ctx.site.etcd
    if etcd.user is None:
        return None
    secret = ctx.facts.components[component].etcd_secret
    return Login(etcd.user_of(component, ctx.node), _password(ctx, etcd.password_file, secret))


def read_password(path: Path) -> str:
    """The password in a file of the operator's; Problem if it is missing, empty or others see it."""
    try:
        if os.stat(path).st_mode & 0o007:
            raise Problem(f"{path}: it is open to everybody", hint=f"run: chmod 600 {path}")
    except OSError as error:
        raise Problem(
            f"{path}: {error.strerror}", hint="see `password_file` in the site file"
        ) from error
    lines = (files.read(path) or "").splitlines()
    if len(lines) != 1 or not lines[0].strip():
        raise Problem(f"{path}: must hold one line, the password", hint="write it into the file")
    return lines[0].strip()


def _password(ctx: Context, given: Path | None, generated: str) -> str:
    return read_password(given) if given else ctx.secrets.get(generated)
