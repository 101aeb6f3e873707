"""What the site file changes about units: one drop-in for each service that needs one."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from backendai_ctl import accounts, credentials
from backendai_ctl.context import Context
from backendai_ctl.facts import Component, OwnServer
from backendai_ctl.platform import files, folders, resolv
from backendai_ctl.platform.units import FOLDER, line
from backendai_ctl.services import plugins
from backendai_ctl.site import backends
from backendai_ctl.site.values import WILDCARDS, split_host_port
from backendai_ctl.topology import (
    bridge,
    container_engine,
    layout,
    places,
    tls_proxy,
)
from backendai_ctl.topology.addresses import service_environment, trust_file
from backendai_ctl.topology.listeners import health_url, server_addresses


def path(component: Component) -> Path:
    return FOLDER / f"{component.unit}.d" / "site.conf"


def wanted(ctx: Context) -> dict[Path, str]:
    """The drop-in of every service installed here; an empty text: none is needed."""
    peers, environment = _peers(ctx), sorted(service_environment(ctx).items())
    volumes_outside, hidden = [str(p.path) for p in _volumes(ctx)], _hidden(ctx)
    named = [f"{key}={ctx.facts.user}" for key in ("User", "Group") if ctx.site.user.name]
    made = {}
    for name in ctx.facts.installed():
        component = ctx.facts.components[name]
        lines = [] if component.user else list(named)
        url = health_url(ctx, component)
        if url != component.health.format(**component.ports):
            lines.append(f"Environment=BACKENDAI_HEALTH={url}")
        lines += [f"Environment={key}={value}" for key, value in environment]
        if component.cache_secret and (user := credentials.cache_user(ctx, name)):
            lines.append(f"Environment=BACKENDAI_CACHE_USER={user}")
        lines += [f"IPAddressAllow={network}" for network in peers]
        lines += _registries(ctx) if name == "manager" else []
        if ctx.site.database.ca:  # named in the environment, and it may lie where units see nothing
            lines.append(f"BindReadOnlyPaths=-{ctx.site.database.ca}")
        setting = "ReadWritePaths" if component.volumes else "InaccessiblePaths"
        theirs = volumes_outside if component.volumes else hidden
        lines += [f"{setting}=-{folder}" for folder in theirs]
        unit = []
        if container_engine.NAME in component.uses:
            used = container_engine.of(ctx.facts)
            unit = [f"{key}={used.unit}" for key in ("Wants", "After")]
            lines += [f"Environment={key}={value}" for key, value in used.environment.items()]
            # A unit does not start with a group that does not exist.
            lines += [f"SupplementaryGroups={used.group}"] if used.open_to_agent else []
        brought = plugins.drop_ins(ctx, component)
        groups = {group for file in brought for group in plugins.words(file, "X-Groups")}
        existing = filter(accounts.group_exists, sorted(groups))
        lines += [f"SupplementaryGroups={group}" for group in existing]
        made[path(component)] = _text(lines, unit)
    return made


def of_server(ctx: Context, server: OwnServer) -> str:
    """The drop-in of a server that the site brings along; empty: none is needed."""
    lines = []
    url = health_url(ctx, server)
    if url != server.health.format(**server.ports):
        lines.append(f"Environment=BACKENDAI_HEALTH={url}")
    lines += [f"IPAddressAllow={address}" for address in dict.fromkeys(_near(ctx, server))]
    return _text(lines)


def _near(ctx: Context, server: OwnServer) -> list[str]:
    """Addresses beyond loopback that a server exchanges packets with."""
    if own := server_addresses(ctx, server.name):
        # PostgreSQL asks name servers who it is that comes, where a node has no address but a name.
        return [*beyond_loopback([*layout.addresses(ctx.site), *resolv.nameservers()]), *own]
    called = any(ctx.facts.callers(server.name, what) for what in server.ports)
    if not called and server.name != layout.METRICS:
        return []
    near = [*layout.addresses(ctx.site), ctx.site.agent.address]
    if server.name == layout.METRICS:
        # It asks services of this host where they listen for users, and nodes by name if they have one.
        near += [ctx.site.network.listen] if ctx.site.network.listen not in WILDCARDS else []
        told = [split_host_port(one)[0] for one in ctx.site.metrics.alertmanagers]
        near += [*told, *(resolv.nameservers() if ctx.node or told else [])]
    return beyond_loopback(near)


def _text(lines: Sequence[str], unit: Sequence[str] = ()) -> str:
    """A drop-in with these lines of [Service] and of [Unit]."""
    tables = {"[Unit]": unit, "[Service]": lines}
    shown = ["\n".join([table, *map(line, of), ""]) for table, of in tables.items() if of]
    return files.HEAD + "\n".join(shown) if shown else ""


def write(ctx: Context) -> bool:
    """Make the drop-ins what they should be; say whether one was changed."""
    changed = False
    for file, text in wanted(ctx).items():
        changed |= files.write(file, text, mode=0o644) if text else _remove(file)
    return changed


def remove(ctx: Context) -> None:
    for component in ctx.facts.components.values():
        if component.unit:
            _remove(path(component))


def _remove(file: Path) -> bool:
    was = file.exists()
    file.unlink(missing_ok=True)
    if file.parent.is_dir() and not any(file.parent.iterdir()):
        file.parent.rmdir()
    return was


def _volumes(ctx: Context) -> list[places.Place]:
    """Volumes outside of the folder that units know of anyway."""
    found = [p for p in places.places(ctx) if not p.path.is_relative_to(ctx.paths.volumes)]
    return sorted(found, key=lambda place: place.path)


def _hidden(ctx: Context) -> list[str]:
    """Folders of volumes that services without any use for them shall not see.

    systemd looks at what it hides, and a look at a dead server would hang: so it is the folder in
    which a volume is mounted, such as /mnt. Where that holds what services need, a volume of this
    host is hidden itself, and one of a server is not.
    """
    needed = {path.resolve() for path in (ctx.paths.environment, ctx.paths.state, ctx.paths.run)}
    needed |= {ctx.site.database.ca.resolve()} if ctx.site.database.ca else set()
    found = set()
    for place in _volumes(ctx):
        above = place.path.parent
        if above not in folders.OF_PROGRAMS and not any(p.is_relative_to(above) for p in needed):
            found.add(str(above))
        elif not place.remote:
            found.add(str(place.path))
    return sorted(found)


def _peers(ctx: Context) -> list[str]:
    """Networks and addresses beyond loopback that the services talk with."""
    site = ctx.site
    outside = [*tls_proxy.outside(site), *layout.addresses(site)]
    outside += backends.hosts(site) if ctx.here("storage-proxy") else []
    outside += resolv.nameservers()  # no name resolves otherwise
    found = {*site.network.allow, *beyond_loopback(outside)}
    if ctx.here("agent"):
        found |= set(_addresses(bridge.address(ctx), net=bridge.NET))
    return sorted(network for network in found if not _loopback(network))


def _registries(ctx: Context) -> list[str]:
    """What the manager needs to read what is in registries that are not the site's own."""
    hosts = [urlsplit(one.url).hostname or "" for one in ctx.site.registries.values()]
    lines = [f"IPAddressAllow={address}" for address in beyond_loopback(hosts)]
    if (trusted := trust_file(ctx, "manager")) != trust_file(ctx, ""):
        lines += [f"Environment=SSL_CERT_FILE={trusted}", f"BindReadOnlyPaths=-{trusted}"]
    return lines


def beyond_loopback(hosts: Iterable[str]) -> list[str]:
    """Addresses of hosts, this one's loopback aside."""
    found = {address for host in hosts for address in _addresses(host)}
    return sorted(address for address in found if not _loopback(address))


def _addresses(host: str, *, net: int | None = None) -> list[str]:
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(host.strip("[]"), None)}
    except OSError:
        return []  # doctor tells about names that do not resolve
    if net is None:
        return sorted(found)
    return [str(ipaddress.ip_network(f"{address}/{net}", strict=False)) for address in found]


def _loopback(network: str) -> bool:
    try:
        return ipaddress.ip_network(network, strict=False).is_loopback
    except ValueError:
        return False
