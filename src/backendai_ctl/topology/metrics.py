"""Where the figures of a site are: what its Prometheus asks, and where the manager asks it.

Each host with Prometheus asks the services of its own, and of other nodes what is open to it there
(`calls` of Prometheus' facts). The app proxies of other nodes answer their own host alone, as do other
managers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import SplitResult, urlsplit

from backendai_ctl.context import Context
from backendai_ctl.facts import USERS, Component
from backendai_ctl.site.values import bracketed
from backendai_ctl.topology import layout, listeners, own_servers


@dataclass(frozen=True)
class Target:
    """One place that Prometheus asks for figures."""

    service: str
    node: str  # empty: the site is a single host
    url: str

    @property
    def place(self) -> SplitResult:
        return urlsplit(self.url)

    def as_static(self) -> dict[str, Any]:
        """As Prometheus is told of it. Upstream's dashboards select figures by `service_group`."""
        node = {"node": self.node} if self.node else {}
        return {"targets": [self.place.netloc], "labels": {"service_group": self.service, **node}}


def jobs(ctx: Context) -> list[dict[str, Any]]:
    """`scrape_configs` of the Prometheus of this host: a job for each service."""
    return [
        _job(service, list(found)) for service, found in groupby(targets(ctx), lambda t: t.service)
    ]


def _job(service: str, found: list[Target]) -> dict[str, Any]:
    first = found[0].place
    made: dict[str, Any] = {
        "job_name": service,
        "scheme": first.scheme,
        "metrics_path": first.path,
        "static_configs": [target.as_static() for target in found],
    }
    if first.scheme == "https":  # of this host alone, with a certificate for users' names
        made["tls_config"] = {"insecure_skip_verify": True}
    return made


def targets(ctx: Context) -> list[Target]:
    """All that the Prometheus of this host asks, a service after the other."""
    known = ctx.facts.services().values()
    return [found for one in known if one.metrics for found in _of(ctx, one)]


def _of(ctx: Context, component: Component) -> Iterator[Target]:
    name = component.name
    if (ctx.here(name) or own_servers.here(ctx, name)) and answers(ctx, component):
        yield Target(name, ctx.node, listeners.metrics_url(ctx, component))
    what = listeners.port_named(component, component.metrics)
    if not layout.figures_asked(ctx.facts, name, what):
        return
    port, path = listeners.port_of(ctx, component, what), urlsplit(component.metrics).path
    for node in layout.running(ctx.site, ctx.facts, name):
        if node != ctx.node:
            host = bracketed(ctx.site.nodes[node].address)
            yield Target(name, node, f"http://{host}:{port}{path}")


def answers(ctx: Context, component: Component) -> bool:
    """Whether a component of this host tells it figures: the app proxy knows who asks by IPv4 alone."""
    what = listeners.port_named(component, component.metrics)
    return component.serves.get(what) != USERS or ":" not in ctx.site.network.listen
