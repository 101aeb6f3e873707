"""Whether the servers that the site file names can be reached: asked without a login, before anything
is installed or configured.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from backendai_ctl.context import Context
from backendai_ctl.platform.together import together
from backendai_ctl.probes import servers
from backendai_ctl.result import Result, fail, ok, skip, worst
from backendai_ctl.site.registries import Registry
from backendai_ctl.topology.places import places

TIMEOUT = 4.0  # seconds for one server
ALL = 12.0  # and for all of them
NFS = 2049


def reach(ctx: Context) -> Result:
    """Every external database, cache and etcd, every NFS server, and registries of images."""
    jobs: dict[str, Callable[[], Result]] = {
        f"{server.name} at {server.address}": partial(_ask, partial(server.ask, TIMEOUT))
        for server in servers.external(ctx)
    }
    for place in places(ctx):
        if place.remote:
            host = place.volume.server or ""
            job = partial(servers.handshake, host, NFS, None, TIMEOUT)
            jobs[f"NFS server {host}"] = partial(_ask, job)
    if not ctx.facts.installed() or ctx.here("manager") or ctx.here("agent"):
        for one in ctx.site.registries.values():
            jobs[f"registry {one.host}"] = partial(_ask, partial(_registry, one))
    if not jobs:
        return skip("the site file names no server elsewhere")
    found = together(jobs, timeout=ALL, late=fail("no answer in time"))
    results = [replace(one, message=f"{name}: {one.message}") for name, one in found.items()]
    return worst(results, fine="; ".join(result.message for result in results))


def _registry(one: Registry) -> None:
    """Whether it has TLS, with a certificate that is trusted here. Raises OSError, ssl.SSLError."""
    trusted, parts = ssl.create_default_context(), urlsplit(one.url)
    trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as for other servers of the site file
    if one.ca:
        trusted.load_verify_locations(one.ca)
    servers.handshake(parts.hostname or "", parts.port or 443, trusted, TIMEOUT)


def _ask(ask: Callable[[], object]) -> Result:
    try:
        return ok(str(ask() or "answers"))
    except servers.FAILURES as failure:
        hint = "see the site file, the server, and what is between it and this host"
        return fail(servers.reason(failure), hint)
