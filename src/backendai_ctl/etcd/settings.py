"""The settings that services read from etcd, from the site file and the secrets.

Names are Backend.AI's: ai/backend/manager/config/unified.py of the release describes them.
"""

from __future__ import annotations

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.topology import addresses, layout

PARTS = (
    "config",
    "volumes",
)  # below the services' prefix; all that they read from etcd is in these


def wanted(ctx: Context) -> dict[str, str]:
    """Key below the services' prefix -> value. Problem if a secret is missing."""
    return {**_cache(ctx), **clusters(ctx), **_volumes(ctx)}


def _cache(ctx: Context) -> dict[str, str]:
    return {
        "config/redis/addr": addresses.shared_cache_address(ctx),
        "config/redis/password": credentials.cache_password(ctx),
    }


def clusters(ctx: Context) -> dict[str, str]:
    """For sessions on several nodes: the driver of backendai_serve.clusters."""
    return {
        "config/network/inter-container/default-driver": "vxlan",
        "config/plugins/network_manager/vxlan/network": ctx.site.agent.cluster_network,
    }


def _volumes(ctx: Context) -> dict[str, str]:
    proxies = layout.storage_proxies(ctx.site, ctx.facts)
    default, *_ = layout.volume_hosts(ctx.site, ctx.facts, ctx.site.default_volume)
    made = {
        # An empty value allows folders of users and of projects.
        "volumes/_types/group": "",
        "volumes/_types/user": "",
        "volumes/default_host": default,
        "volumes/exposed_volume_info": "percentage",
    }
    for name, node in proxies.items():
        proxy = {
            "client_api": addresses.public_url(ctx, "storage-proxy", "client", node),
            "manager_api": addresses.internal_url(ctx, "storage-proxy", "manager", node),
            "ssl_verify": "true",
        }
        if ctx.site.agent.sftp:
            proxy["sftp_scaling_groups"] = layout.SFTP
        made |= {f"volumes/proxies/{name}/{key}": value for key, value in proxy.items()}
    return made
