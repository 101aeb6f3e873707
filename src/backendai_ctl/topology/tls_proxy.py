"""Servers that Backend.AI's own clients cannot reach by themselves, and the way to them.

They speak no TLS (etcd, Valkey), and of sentinels only those that have no password or the server's
own. backendai-tls-proxy.service does both for them: see `backendai_serve.tls_proxy`. backendai-ctl itself
connects to the servers directly, so that it can say what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.site.schema import Proxied, Site
from backendai_ctl.site.values import LOOPBACK, bracketed, split_host_port

UNIT = "backendai-tls-proxy.service"
PORTS = {"cache": 16379, "etcd": 12379}  # of loopback, the same on every node of a site
_ALPN = {"etcd": ["h2"]}  # gRPC: etcd wants it said


@dataclass(frozen=True)
class Route:
    """A port of loopback and the servers it leads to. `section` of the site file."""

    section: str
    server: Proxied
    nodes: tuple[str, ...]  # HOST:PORT
    service: str = ""  # the nodes are sentinels, the server is the master of this name
    password: Path | None = None  # of the sentinels

    @property
    def port(self) -> int:
        return PORTS[self.section]

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def alpn(self) -> list[str]:
        return _ALPN.get(self.section, [])

    @property
    def hosts(self) -> list[str]:
        return [split_host_port(node)[0] for node in self.nodes]

    @property
    def files(self) -> dict[str, Path]:
        """What the TLS proxy is given: name of the credential -> the operator's file."""
        found = {
            "ca.crt": self.server.ca,
            "client.crt": self.server.certificate,
            "client.key": self.server.key,
            "password": self.password,
        }
        return {f"{self.section}-{name}": path for name, path in found.items() if path}


def routes(site: Site) -> list[Route]:
    """The routes that this site wants."""
    return [route for route in (_cache(site), _etcd(site)) if route]


def cache_address(site: Site) -> tuple[str, int]:
    """Where the services reach the cache: its own address, or the TLS proxy's."""
    route = _cache(site)
    return (LOOPBACK, route.port) if route else (site.cache.host, site.cache.port)


def etcd_endpoints(site: Site) -> list[str]:
    """Where the services reach etcd: HOST:PORT of each member, or the TLS proxy's."""
    route = _etcd(site)
    return [route.address] if route else site.etcd.endpoints


def outside(site: Site) -> Iterator[str]:
    """Hosts of the servers that the services connect to themselves."""
    yield from (host for host, _ in site.database.members)
    yield cache_address(site)[0]
    yield from (split_host_port(endpoint)[0] for endpoint in etcd_endpoints(site))


def _cache(site: Site) -> Route | None:
    cache = site.cache
    if cache.sentinel:
        sentinel = cache.sentinel
        nodes = tuple(sentinel.nodes)
        return Route("cache", cache, nodes, sentinel.service, sentinel.password_file)
    if cache.tls == "off":
        return None
    return Route("cache", cache, (f"{bracketed(cache.host)}:{cache.port}",))


def _etcd(site: Site) -> Route | None:
    if site.etcd.tls == "off":
        return None
    return Route("etcd", site.etcd, tuple(site.etcd.endpoints))
