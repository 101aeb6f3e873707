"""The units of the servers that components build on."""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.topology import container_engine, tls_proxy

UNITS = {  # but that of the container engine
    "postgresql": "backendai-postgresql.service",
    "valkey": "backendai-valkey.service",
    "etcd": "backendai-etcd.service",
    "tls-proxy": tls_proxy.UNIT,
    "firewall": "backendai-nft.service",
}


def units(ctx: Context) -> dict[str, str]:
    """The units of servers on this host, whichever has them."""
    optional = {name: ctx.facts.servers[name].unit for name in ctx.facts.optional()}
    return {**UNITS, container_engine.NAME: container_engine.of(ctx.facts).unit, **optional}
