"""The settings that services read from etcd, from the site file and the secrets.

Names are Backend.AI's: ai/backend/manager/config/unified.py of the release describes them.
"""

from __future__ import annotations

from backendai_ctl import addresses, credentials, tunnels
from backendai_ctl.context import Context


def wanted(ctx: Context) -> dict[str, str]:
    """Key below the services' prefix -> value. Problem if a secret is missing."""
    return {**_cache(ctx), **_volumes(ctx)}


def _cache(ctx: Context) -> dict[str, str]:
    host, port = tunnels.cache_address(ctx.site)
    return {
        "config/redis/addr": f"{addresses.bracketed(host)}:{port}",
        "config/redis/password": credentials.cache_password(ctx),
    }


def _volumes(ctx: Context) -> dict[str, str]:
    name = ctx.site.storage.proxy
    proxy = {
        "client_api": addresses.public_url(ctx, "storage-proxy", "client"),
        "manager_api": addresses.internal_url(ctx, "storage-proxy", "manager"),
        "secret": ctx.secrets.get("storage-manager"),
        "ssl_verify": "true",
    }
    return {
        # An empty value allows folders of users and of projects.
        "volumes/_types/group": "",
        "volumes/_types/user": "",
        "volumes/default_host": f"{name}:{ctx.site.default_volume}",
        "volumes/exposed_volume_info": "percentage",
        **{f"volumes/proxies/{name}/{key}": value for key, value in proxy.items()},
    }
