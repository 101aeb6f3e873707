"""Checks of what the site file names: every server is reached and logged in to; every component
of this host says that it is well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import asyncpg  # type: ignore[import-untyped]

from backendai_ctl.context import Context
from backendai_ctl.database.connection import dial
from backendai_ctl.database.databases import Target
from backendai_ctl.errors import Problem
from backendai_ctl.etcd import access, settings
from backendai_ctl.etcd.client import Client, Unreachable
from backendai_ctl.facts import Database
from backendai_ctl.platform import systemd
from backendai_ctl.probes import health, servers
from backendai_ctl.rendering.render import ETCD_QUOTA
from backendai_ctl.result import Result, fail, ok, skip, warn, worst
from backendai_ctl.services.state import turned_off
from backendai_ctl.topology import listeners, own_servers, tls_proxy

TIMEOUT = 4.0  # seconds to connect and log in
OLDEST_POSTGRESQL = 13
OLDEST_VALKEY = 6
DEFAULT_QUOTA = 2 * 2**30  # bytes; at this size etcd refuses to write, where nobody sets another
MEND = "run: backendai-ctl etcd defragment"
CORRUPT = (
    "its data is damaged, or differs from that of other members: stop the services, and restore "
    "its folder from a backup"
)
SKEW = 5.0  # seconds between the clocks of two hosts
LOOK = "see the site file, and: backendai-ctl logs {}"


def component(name: str) -> Callable[[Context], Result]:
    """A check of one component of this host."""

    def look(ctx: Context) -> Result:
        if not ctx.here(name):
            return skip("not on this host")
        found = ctx.facts.components[name]
        shown = systemd.properties(found.unit, ["ActiveState", "UnitFileState"])
        if turned_off(ctx, found, shown):
            return skip("off: its operator disabled it")
        state = shown.get("ActiveState", "")
        if state not in ("active", ""):
            return fail(f"{found.unit} is {state}", "see: backendai-ctl status")
        said = health.ask(listeners.health_url(ctx, found), TIMEOUT)
        if not said.ok:
            return fail(said.message, f"see: backendai-ctl logs {name}")
        return ok(f"healthy {said.version}".strip())

    return look


def database(which: Database) -> Callable[[Context], Result]:
    """A check of a component's database."""

    def look(ctx: Context) -> Result:
        if not ctx.here(which.component):
            return skip(f"no {which.component} on this host")
        target = Target(ctx, which)
        place = target.where.removeprefix("database ")
        timeout = TIMEOUT * (1 + len(target.members))
        try:
            return asyncio.run(asyncio.wait_for(_database(target), timeout))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as failure:
            return _unwell(ctx, "postgresql", f"{place}: {servers.reason(failure)}")

    return look


async def _database(target: Target) -> Result:
    connection, (host, port) = await dial(target, TIMEOUT)
    place = f"{target.dbname} at {host}:{port}"
    try:
        epoch = "SELECT extract(epoch FROM clock_timestamp())::float8"
        skew = await connection.fetchval(epoch) - time.time()
        owner = await connection.fetchval(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        )
        version = connection.get_server_version()
    finally:
        await connection.close()
    # Since 10 a version has two parts, and asyncpg calls the second one so.
    saw = f"logged in to {place}, PostgreSQL {version.major}.{version.micro}"
    if version.major < OLDEST_POSTGRESQL:
        return fail(saw, f"run PostgreSQL {OLDEST_POSTGRESQL} or newer")
    if owner != target.user:
        hint = f'run there: ALTER DATABASE "{target.dbname}" OWNER TO "{target.user}"'
        return fail(f"{place} belongs to {owner}, not to {target.user}", hint)
    if abs(skew) > SKEW:
        return warn(f"{saw}; its clock differs by {skew:.0f} s", "synchronise both clocks")
    return ok(saw)


def cache(ctx: Context) -> Result:
    if not any(ctx.here(name) for name in ctx.facts.using("valkey")):
        return skip("no component of this host uses it")
    try:
        host, port = servers.master(ctx, TIMEOUT)
        return _cache(ctx, host, port)
    except servers.FAILURES as failure:
        return _unwell(ctx, "valkey", servers.reason(failure))


def _unwell(ctx: Context, server: str, saw: str, hint: str = "") -> Result:
    """That it does not answer; of one of the site's own on this host, why."""
    if wrong := own_servers.trouble(ctx, server):
        return fail(f"{saw}; {wrong.message}", wrong.hint)
    return fail(saw, hint or LOOK.format(server))


def _cache(ctx: Context, host: str, port: int) -> Result:
    with servers.log_in(ctx, host, port, TIMEOUT) as server:
        server.call("PING")
        told = str(server.call("INFO", "server"))
        memory = str(server.call("INFO", "memory"))
    facts = dict(line.split(":", 1) for line in (told + memory).splitlines() if ":" in line)
    name = facts.get("server_name", "redis").capitalize()
    version = facts.get("valkey_version") or facts.get("redis_version", "0")
    saw = f"logged in to {host}:{port}, {name} {version}"
    if int(version.split(".")[0]) < OLDEST_VALKEY:
        return fail(saw, "run Valkey, or Redis 6 or newer")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and facts.get("maxmemory", "0") != "0":
        return warn(f"{saw}; maxmemory-policy {policy}", "set it to noeviction")
    return ok(saw)


def etcd(ctx: Context) -> Result:
    """As the services log in; and every member that the site file names is well."""
    if not any(ctx.here(name) for name in ctx.facts.using("etcd")):
        return skip("no component of this host uses it")
    client = access.connect_as_service(ctx)
    prefix = access.services_prefix(ctx)
    try:
        kept = sum(len(client.prefix(f"{prefix}{part}/")) for part in settings.PARTS)
    except Unreachable as problem:
        return _unwell(ctx, "etcd", problem.message, problem.hint)
    if access.seeds(ctx):
        access.connect(ctx).prefix(access.own_prefix(ctx))  # as backendai-ctl does
    members = [_member(ctx, client, endpoint) for endpoint in ctx.site.etcd.endpoints]
    saw = f"logged in as {client.user or 'nobody'}, {kept} settings of the services"
    if not kept:
        return fail(saw, "run: backendai-ctl etcd seed")
    return worst([ok(saw), *members], fine="; ".join([saw, *(m.message for m in members)]))


def _member(ctx: Context, client: Client, endpoint: str) -> Result:
    try:
        said = client.member(endpoint)
    except Problem as problem:
        return warn(problem.message, "repair this member of the cluster")
    saw = f"{endpoint} etcd {said.get('version', '?')}"
    ours = ctx.site.etcd.mode == "local"
    mend = MEND if ours else "compact and defragment that member, then disarm its alarm"
    size, quota = int(said.get("dbSize", 0)), ETCD_QUOTA if ours else DEFAULT_QUOTA
    if wrong := said.get("errors"):
        told = f"{saw}: {', '.join(wrong)}"
        return fail(told, CORRUPT if any("CORRUPT" in one for one in wrong) else mend)
    if size > quota * 0.8:
        return warn(f"{saw}, {size / 1e6:.0f} MB of {quota / 1e6:.0f}", mend)
    return ok(saw)


def proxied(ctx: Context) -> Result:
    """The services' own way to servers with TLS or sentinels."""
    routes = tls_proxy.routes(ctx.site)
    if not routes:
        return skip("no server of the site file needs it")
    shown = ", ".join(f"{route.section} by {route.address}" for route in routes)
    try:
        servers.proxied(ctx, TIMEOUT)
    except servers.FAILURES as failure:
        return fail(f"{shown}: {servers.reason(failure)}", LOOK.format("tls-proxy"))
    return ok(shown)
