"""How this host logs in to the site's etcd.

The etcd of this host has an administrator (root) with a generated password: backendai-ctl uses it.
At an etcd of yours backendai-ctl is the user that the site file names, as the services are. Its
role must allow to read and write the prefixes of `prefixes`.
"""

from __future__ import annotations

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.etcd.client import Client
from backendai_ctl.probes.servers import client_tls
from backendai_ctl.topology import layout

ROOT = "root"  # etcd's own name for it


def services_prefix(ctx: Context) -> str:
    """Where the services keep their keys; the name is Backend.AI's."""
    return f"/sorna/{ctx.site.etcd.namespace}/"


def own_prefix(ctx: Context) -> str:
    """Where backendai-ctl keeps its own."""
    return f"/backendai-packaged/{ctx.site.etcd.namespace}/"


def prefixes(ctx: Context) -> list[str]:
    return [services_prefix(ctx), own_prefix(ctx)]


def administered(ctx: Context) -> bool:
    """Whether we look after the users of this etcd."""
    return ctx.site.etcd.mode == "local" and ctx.site.etcd.user is not None


def seeds(ctx: Context) -> bool:
    """Whether this host writes the settings of the site: one of its nodes does, for all."""
    return ctx.node == layout.origin(ctx.site, ctx.facts)


def connect(ctx: Context) -> Client:
    """A client for backendai-ctl; nothing is sent yet. Problem if a password is missing."""
    if administered(ctx):
        return connect_as(ctx, ROOT, ctx.secrets.get("etcd-root-password"))
    return connect_as_service(ctx)


def connect_as_service(ctx: Context) -> Client:
    """A client with the login that a service of this host has, of several the first's."""
    using = ctx.facts.using("etcd")
    component = next(filter(ctx.here, using), using[0])
    login = credentials.etcd_login(ctx, component)
    return connect_as(ctx, login.user, login.password) if login else connect_as(ctx, "", "")


def connect_as(ctx: Context, user: str, password: str) -> Client:
    """A client with some login; empty: none."""
    server = ctx.site.etcd
    try:
        tls = client_tls(server)
    except OSError as error:
        raise Problem(
            f"{server.ca}: {error.strerror or error}", hint="see [etcd] ca in the site file"
        ) from error
    return Client(server.endpoints, user=user, password=password, tls=tls)
