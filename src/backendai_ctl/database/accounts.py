"""Passwords of accounts."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from backendai_ctl.context import Context
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.populate import populate
from backendai_ctl.errors import BadRequest
from backendai_ctl.platform import files


def reset_password(ctx: Context, email: str) -> str:
    """Give an account a new, generated password and return it; BadRequest if there is none.

    That of the site's own administrator is kept in its secret file as well. It is hashed by the
    installed release, as its services expect.
    """
    target = of_manager(ctx)
    with connect(target) as db:
        uuid = db.value("SELECT uuid::text FROM users WHERE email = $1", email)
    if uuid is None:
        raise BadRequest(f"no account {email}", hint="name another one: --email ADDRESS")
    password = secrets.token_urlsafe(24)
    row = {
        "uuid": uuid,
        "password": password,
        "password_changed_at": datetime.now(UTC).isoformat(),
        "need_password_change": False,
    }
    populate(target, {"__mode": "update", "users": [row]})
    if email == ctx.site.admin.email:  # now that it is the account's
        files.write(ctx.secrets.path("admin-password"), password + "\n", mode=0o600)
    return password
