"""The text of a component's configuration as this release and this site want it."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from pathlib import Path

import jinja2
import tomllib

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.database.creation import targets
from backendai_ctl.database.databases import Target, callers, named
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Component
from backendai_ctl.images import buttons
from backendai_ctl.platform import files
from backendai_ctl.rendering import pulling, workers
from backendai_ctl.rendering.places import credential
from backendai_ctl.site import backends
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import CONTROL, LOOPBACK, bracketed, split_host_port
from backendai_ctl.topology import (
    bridge,
    container_engine,
    layout,
    metrics,
    registry,
    tls_proxy,
)
from backendai_ctl.topology.addresses import internal_url, public_url, tls_on
from backendai_ctl.topology.listeners import (
    bind,
    reachable,
    server_addresses,
    server_port,
)

TOKEN_YEARS = 10  # a login of etcd is valid
SHARED_DATABASES = 9  # of Valkey: upstream has its data in 0 to 8
ETCD_QUOTA = 4 * 2**30  # bytes; etcd's size limit, at which it refuses to write


def with_config(ctx: Context) -> list[Component]:
    """The components of this host that have a configuration file."""
    found = (ctx.facts.components[name] for name in ctx.facts.installed())
    return [component for component in found if component.config]


def render(ctx: Context, component: Component) -> str:
    """The component's file from its template.

    Raises Problem if a secret it holds was not made yet, or the template is missing or wrong.
    """
    return render_file(ctx, component.config, f"backendai-{component.name}")


def render_file(ctx: Context, config: str, package: str) -> str:
    """A file below the configuration folder from its template, which `package` brings.

    Raises Problem if a secret it holds was not made yet, or the template is missing or wrong.
    """
    folder = ctx.paths.share / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # neither TOML nor JSON is HTML; `toml` quotes
    )
    environment.filters |= {"toml": toml, "json": as_json, "pg": pg, "words": words}
    environment.filters["sha256"] = lambda text: hashlib.sha256(text.encode()).hexdigest()
    name = f"{config}.j2"
    try:
        return environment.get_template(name).render(_names(ctx))
    except jinja2.TemplateError as error:
        raise Problem(
            f"{folder / name}: {type(error).__name__}: {error}",
            hint=f"install the package again: apt install --reinstall {package}",
        ) from error


def base_path(ctx: Context, component: Component) -> Path:
    """Where the text that was shipped last is kept."""
    return ctx.paths.ctl / "shipped" / component.config


def toml(value: object) -> str:
    """A value as TOML writes it; what it has in common with JSON, and inline tables."""
    if isinstance(value, dict):
        inside = (f"{_key(key)} = {toml(inner)}" for key, inner in value.items())
        return "{ " + ", ".join(inside) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, bool | int | float | str):
        raise TypeError(f"no TOML for {type(value).__name__}")
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def as_json(value: object) -> str:
    """A value as JSON, for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def pg(value: object) -> str:
    """A value as postgresql.conf writes it: text in quotes, in which a backslash begins an escape."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str):
        return str(value)
    return "'" + _line(value).replace("\\", "\\\\").replace("'", "''") + "'"


def words(value: object) -> str:
    """A value as valkey.conf writes it: words of a line."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else _line(str(value))


def _line(text: str) -> str:
    """The text, if it is one line: another would be a setting of its own."""
    if re.search(f"[{CONTROL}]", text):
        raise Problem(
            "a value of `settings` has a control character in it", hint="see the site file"
        )
    return text


def _key(name: object) -> str:
    """A key as TOML writes it: quoted unless it is a plain word."""
    return str(name) if re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) else toml(str(name))


def _names(ctx: Context) -> dict[str, object]:
    """What templates may use. Passwords are functions: only what a file holds is read."""
    site = ctx.site
    etcd = [_pair(endpoint) for endpoint in tls_proxy.etcd_endpoints(site)]
    cache_host, cache_port = tls_proxy.cache_address(site)
    return {
        "site": site,
        "node": ctx.node,
        "address": bracketed(layout.public_host(site, ctx.facts, ctx.node)),
        "loopback": LOOPBACK,
        "tls": tls_on(ctx),
        "volumes": {
            name: {
                "path": site.volume_path(name, ctx.paths.volumes),
                "backend": site.storage.volumes[name].backend,
                "options": backends.options(site.storage.volumes[name]),
            }
            for name in layout.offered_volumes(site, ctx.node)
        },
        "volumes_folder": ctx.paths.volumes,
        "database_addresses": [
            {"host": host, "port": port} for host, port in site.database.members
        ],
        "etcd_addresses": etcd[0] if len(etcd) == 1 else etcd,
        "cache": {"host": cache_host, "port": cache_port},
        "bridge": bridge.address(ctx),
        "engine": container_engine.own(ctx.facts),
        "engine_settings": _engine_settings(site),
        "log_limits": container_engine.LOG_LIMITS,
        "agent_id": lambda: _agent_id(ctx),
        "cache_address": f"{bracketed(cache_host)}:{cache_port}",
        "here": ctx.here,
        "port": ctx.port,
        "opened": lambda component: _opened(ctx.facts.components[component]),
        "bind": lambda component, what: bind(ctx, component, what),
        "asked_at": reachable(site.network.listen),  # by this host, what listens for users
        "managers": _managers(ctx),
        "proxy": _proxy(ctx),
        "storage_proxies": layout.storage_proxies(site, ctx.facts),
        "worker": _worker(ctx),
        "apps_domain": layout.apps_domain(site, ctx.facts, ctx.node),
        "workers": lambda component: workers.workers(ctx.facts.components[component]),
        "more_connections": lambda component: workers.more_connections(
            ctx.facts.components[component]
        ),
        "default_image": registry.default_image(ctx),
        "resource_group": layout.group_of(site, ctx.node),
        "sftp_group": layout.SFTP,
        "container_ports": layout.container_ports(site),
        "public_url": lambda component, what: public_url(ctx, component, what),
        "internal_url": lambda component, what: internal_url(ctx, component, what),
        "run": lambda component, name: ctx.paths.run / component / name,
        "state": lambda component, name: ctx.paths.state / component / name,
        "credential": lambda component, name: credential(ctx.facts.components[component], name),
        "secret": ctx.secrets.get,
        **_of_servers(ctx),
        "database": lambda which: Target(ctx, named(ctx.facts, which)),
        "file_browser_image": lambda: buttons.file_browser(ctx),
        "ssh_image": lambda: buttons.ssh(ctx),
        "cache_password": lambda: credentials.cache_password(ctx),
        "cache_login": lambda component: credentials.cache_login(ctx, component),
        "etcd_login": lambda component: credentials.etcd_login(ctx, component),
    }


def _of_servers(ctx: Context) -> dict[str, object]:
    """What the templates of the site's own servers use."""
    site, known = ctx.site, ctx.facts.servers

    def port(server: str, what: str) -> int:
        return server_port(site, known[server], what)

    def share(part: int, least: int, most: int) -> int:
        """A share of this host's memory, in MiB."""
        return min(max(workers.gib() * 1024 // part, least), most)

    etcd = [LOOPBACK, *(bracketed(a) for a in server_addresses(ctx, "etcd"))]
    return {
        "share": share,
        "server_port": port,
        "server_bind": lambda server, what: (
            f"{bracketed(bind(ctx, server, what))}:{port(server, what)}"
        ),
        "listen": lambda server: server_addresses(ctx, server),
        "scrape_jobs": lambda: metrics.jobs(ctx),
        "server_run": lambda server: ctx.paths.run / server,
        "server_state": lambda server: ctx.paths.state / server,
        "server_share": lambda server, name: ctx.paths.servers / server / "share" / name,
        "server_credential": lambda server, name: credential(known[server], name),
        "registry_login": lambda: pulling.login(ctx),
        "registry_http": lambda: pulling.http(ctx),
        "database_clients": sum(
            len(layout.running(site, ctx.facts, target.database.component)) or 1
            for target in targets(ctx)
        ),
        "database_callers": list(callers(ctx)),
        "shared_databases": range(SHARED_DATABASES),
        "cache_root": lambda: credentials.cache_root(ctx),
        "cache_users": lambda: _cache_users(ctx),
        "etcd_urls": [f"http://{host}:{port('etcd', 'clients')}" for host in etcd],
        "etcd_peers": f"http://{LOOPBACK}:{port('etcd', 'peers')}",
        "etcd_token_hours": TOKEN_YEARS * 365 * 24,
        "etcd_quota": ETCD_QUOTA,
    }


def _cache_users(ctx: Context) -> list[tuple[credentials.Login, tuple[int, ...]]]:
    """Logins at Valkey beside the one that most share, and the databases of each."""
    return [
        (credentials.cache_login(ctx, name), component.cache_databases)
        for name, component in ctx.facts.components.items()
        if component.cache_secret and ctx.secrets.exists(component.cache_secret)
    ]


def _managers(ctx: Context) -> list[str]:
    """URLs of every manager."""
    nodes = layout.running(ctx.site, ctx.facts, "manager") or [""]
    return [internal_url(ctx, "manager", "api", node) for node in nodes]


def _proxy(ctx: Context) -> str:
    """What the storage proxy of this host is called in volume names."""
    named = layout.storage_proxies(ctx.site, ctx.facts)
    return next((name for name, at in named.items() if at == ctx.node), ctx.site.storage.proxy)


def _opened(component: Component) -> list[int]:
    """First and last port of the range that a component opens besides its own ports."""
    ((first, last, _),) = component.opens.values()
    return [first, last]


def _worker(ctx: Context) -> str:
    """The name of this node's app proxy worker, another one for each node."""
    workers = layout.running(ctx.site, ctx.facts, "appproxy-worker")
    return "worker-1" if ctx.node in workers[:1] or not ctx.node else f"worker-{ctx.node}"


def _engine_settings(site: Site) -> dict[str, object]:
    """What the site file wants of the container engine of ours."""
    named = site.agent.bridge
    return {**({"bip": f"{named}/{bridge.NET}"} if named else {}), **site.agent.docker}


def _agent_id(ctx: Context) -> str:
    """What the manager knows this host's agent by: of its node's name, and never another one.

    An agent that was set up keeps its own: the one in the file that was made for it, or that of releases
    whose file named none and followed the host's name.
    """
    made = files.read(base_path(ctx, ctx.facts.components["agent"]))
    if made is None:
        return layout.agent_id(ctx.node or socket.gethostname())
    return str(tomllib.loads(made)["agent"].get("id") or layout.agent_id(socket.gethostname()))


def _pair(text: str) -> dict[str, object]:
    host, port = split_host_port(text)
    return {"host": host, "port": port}
