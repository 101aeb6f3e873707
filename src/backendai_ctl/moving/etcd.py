"""Keys of etcd below our prefixes: read at one revision, written, compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.etcd import access, users
from backendai_ctl.etcd.client import Client
from backendai_ctl.moving import debian
from backendai_ctl.moving.evidence import Former, drop_in, ours
from backendai_ctl.platform import units
from backendai_ctl.services import serving

UNIT = "etcd.service"
_OPERATIONS = 100  # of one transaction; etcd takes 128
_BYTES = 500_000  # and 1.5 MB
_AGAIN = "backendai-ctl reconfigure"


def of(ctx: Context, former: Former) -> Client:
    """A client of the old server, as its root."""
    etcd = ctx.site.etcd.model_copy(update={"endpoints": [former.address]})
    return access.connect(replace(ctx, site=ctx.site.model_copy(update={"etcd": etcd})))


def check(ctx: Context, former: Former) -> None:
    """Refused or Unreachable unless it takes our login."""
    of(ctx, former).prefixes(access.prefixes(ctx))


def ready(ctx: Context, former: Former) -> None:
    """Run the site's own server; it wants a login before it holds a secret."""
    serving.run(ctx, former.name)
    if access.administered(ctx):
        users.create(ctx)


def copy(ctx: Context, former: Former) -> str:
    """Copy all keys of ours and compare them; what was copied, for people."""
    ctx.say(f"  copy what is in etcd at {former.address}")
    old, new = of(ctx, former), access.connect(ctx)
    entries = {key: entry.value for key, entry in old.prefixes(access.prefixes(ctx)).items()}
    for prefix in access.prefixes(ctx):
        new.delete(prefix)
    for part in parts(entries):
        new.commit({}, part)
    for client in (new, old):
        found = {key: entry.value for key, entry in client.prefixes(access.prefixes(ctx)).items()}
        if found != entries:
            wrong = sorted(
                k for k in found.keys() | entries.keys() if found.get(k) != entries.get(k)
            )
            raise Problem(
                f"etcd: {len(wrong)} keys differ from what was copied, such as {wrong[0]}",
                hint=f"stop what writes to the old one, then run: {_AGAIN}",
            )
    return f"etcd ({len(entries)} keys)"


def others(ctx: Context, former: Former) -> str:
    """What else is in the old server; empty if nothing."""
    client, known = of(ctx, former), tuple(access.prefixes(ctx))
    if more := [key for key in client.all_keys() if not key.startswith(known)]:
        return f"it has other keys: {more[0]}" + (" and more" if more[1:] else "")
    if client.login():
        there = client.call("auth/user/list", {}).get("users", [])
        if more := sorted({*there} - {access.ROOT, ctx.site.etcd.user}):
            return f"it has other users: {', '.join(more)}"
    return ""


def retire(_ctx: Context, _former: Former, _alive: bool) -> str:
    """Stop the old server, now and at every boot; why it was left running, or nothing."""
    debian.rest(UNIT)
    undo()
    return ""


def undo() -> None:
    """Take back what the earlier release wrote for it."""
    if ours(drop_in(UNIT).path):
        units.remove([drop_in(UNIT)])


def parts(entries: dict[str, str]) -> Iterator[dict[str, str]]:
    """The entries in parts that fit in a transaction each."""
    part: dict[str, str] = {}
    size = 0
    for key, value in entries.items():
        length = len(key.encode("utf-8", "surrogateescape")) + len(
            value.encode("utf-8", "surrogateescape")
        )
        if part and (len(part) == _OPERATIONS or size + length > _BYTES):
            yield part
            part, size = {}, 0
        part[key] = value
        size += length
    if part:
        yield part
