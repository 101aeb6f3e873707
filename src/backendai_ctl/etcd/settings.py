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
    return {**_cache(ctx), **_volumes(ctx)}


def _cache(ctx: Context) -> dict[str, str]:
    return {
        "config/redis/addr": addresses.shared_cache_address(ctx),
        "config/redis/password": credentials.cache_password(ctx),
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
            "secret": ctx.secrets.get("storage-manager"),
            "ssl_verify": "true",
        }
        made |= {f"volumes/proxies/{name}/{key}": value for key, value in proxy.items()}
    return made
