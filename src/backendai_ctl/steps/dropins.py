"""What the site file changes about units: one drop-in for each service that needs one."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from backendai_ctl import bridge, container_engine, servers, tunnels
from backendai_ctl.addresses import service_environment
from backendai_ctl.context import Context
from backendai_ctl.facts import Component, OwnServer
from backendai_ctl.listeners import health_url, server_addresses, server_port
from backendai_ctl.nodes import layout
from backendai_ctl.steps.units import FOLDER, line
from backendai_ctl.storage import backends, shared, volumes
from backendai_ctl.system import files, folders, resolv


def path(component: Component) -> Path:
    return FOLDER / f"{component.unit}.d" / "site.conf"


def wanted(ctx: Context) -> dict[Path, str]:
    """The drop-in of every service installed here; an empty text: none is needed."""
    peers, environment = _peers(ctx), sorted(service_environment(ctx).items())
    volumes_outside, hidden = [str(p.path) for p in _volumes(ctx)], _hidden(ctx)
    user = [f"{key}={ctx.facts.user}" for key in ("User", "Group") if ctx.site.user.name]
    made = {}
    for name in ctx.facts.installed():
        component = ctx.facts.components[name]
        lines = list(user)
        url = health_url(ctx, component)
        if url != component.health.format(**component.ports):
            lines.append(f"Environment=BACKENDAI_HEALTH={url}")
        lines += [f"Environment={key}={value}" for key, value in environment]
        lines += [f"IPAddressAllow={network}" for network in peers]
        if ctx.site.database.ca:  # named in the environment, and it may lie where units see nothing
            lines.append(f"BindReadOnlyPaths=-{ctx.site.database.ca}")
        setting = "ReadWritePaths" if name in shared.USERS else "InaccessiblePaths"
        theirs = volumes_outside if name in shared.USERS else hidden
        lines += [f"{setting}=-{folder}" for folder in theirs]
        unit = []
        if name in servers.USERS[container_engine.NAME]:
            used = container_engine.of(ctx.facts)
            unit = [f"{key}={used.unit}" for key in ("Wants", "After")]
            lines += [f"Environment={key}={value}" for key, value in used.environment.items()]
            # A unit does not start with a group that does not exist.
            lines += [f"SupplementaryGroups={used.group}"] if used.open_to_agent else []
        made[path(component)] = _text(lines, unit)
    return made


def of_server(ctx: Context, server: OwnServer) -> str:
    """The drop-in of a server that the site brings along; empty: none is needed."""
    ports = {what: server_port(ctx.site, server, what) for what in server.ports}
    lines = []
    if ports != server.ports:
        lines.append(f"Environment=BACKENDAI_HEALTH={server.health.format(**ports)}")
    if server_addresses(ctx, server.name):
        # PostgreSQL asks name servers who it is that comes, where a node has no address but a name.
        near = [*layout.addresses(ctx.site), *resolv.nameservers()]
        near = [*beyond_loopback(near), *server_addresses(ctx, server.name)]
        lines += [f"IPAddressAllow={address}" for address in dict.fromkeys(near)]
    return _text(lines)


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


def _volumes(ctx: Context) -> list[volumes.Place]:
    """Volumes outside of the folder that units know of anyway."""
    found = [p for p in volumes.places(ctx) if not p.path.is_relative_to(ctx.paths.volumes)]
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
    outside = [*tunnels.outside(site), *layout.addresses(site)]
    outside += backends.hosts(site) if ctx.here("storage-proxy") else []
    outside += resolv.nameservers()  # no name resolves otherwise
    found = {*site.network.allow, *beyond_loopback(outside)}
    if ctx.here("agent"):
        found |= set(_addresses(bridge.address(ctx), net=bridge.NET))
    return sorted(network for network in found if not _loopback(network))


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
