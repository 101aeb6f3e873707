"""Contradictions: values that are good each by itself but not together, or not on this host."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path

from backendai_ctl.facts import Facts
from backendai_ctl.site import backends
from backendai_ctl.site.faults import Fault, dotted
from backendai_ctl.site.schema import Database, Etcd, Proxied, Server, Site, Volume
from backendai_ctl.site.suggest import suggest
from backendai_ctl.site.values import LOOPBACK, is_loopback, split_host_port, unit_of
from backendai_ctl.topology import layout
from backendai_ctl.topology.listeners import (
    SESSIONS,
    documented,
    server_port,
)
from backendai_ctl.validation import agent_rules, node_rules, registry_rules, volume_rules
from backendai_ctl.validation.files import file_faults

LONGEST_NAME = 255  # of a file, and of a unit
REACHED = {LOOPBACK, "localhost"}  # where components of this host find its own servers
LOWEST_PORT = 1024  # that a server of ours can have: none runs as root
# What backendai-ctl reaches the site's own servers by: table -> settings that are not for others.
OURS = {
    "database": (
        "port listen_addresses unix_socket_directories config_file hba_file data_directory "
        "password_encryption"
    ),
    "cache": "port bind dir aclfile requirepass daemonize supervised include",
    "etcd": (
        "name data-dir listen-client-urls advertise-client-urls listen-peer-urls "
        "initial-advertise-peer-urls initial-cluster auth-token"
    ),
}


def contradictions(site: Site, facts: Facts) -> Iterator[Fault]:
    """Every contradiction. Reads the files that the site file names, reaches no server."""
    yield from _tls(site)
    yield from _apps(site)
    yield from _database(site.database, facts)
    yield from _cache(site)
    yield from _etcd(site.etcd)
    yield from _storage(site, facts)
    yield from _network(site)
    yield from _ports(site, facts)
    yield from node_rules.contradictions(site, facts)
    yield from agent_rules.contradictions(site, facts)
    yield from registry_rules.contradictions(site, facts)


def _tls(site: Site) -> Iterator[Fault]:
    for key in ("certificate", "key"):
        path: Path | None = getattr(site.tls, key)
        loc = ("tls", key)
        if site.tls.mode == "own" and path is None:
            yield Fault(loc, 'is missing with mode = "own"', f"name the PEM file of the {key}")
        elif site.tls.mode != "own" and path is not None:
            yield Fault(loc, f'has no use with mode = "{site.tls.mode}"', 'set mode = "own"')
        elif path is not None:
            yield from file_faults(loc, path)
    if site.tls.mode == "own" and site.tls.certificate and site.tls.key:
        hosts = [site.site.address, *([f"app.{site.apps.domain}"] if site.apps.domain else [])]
        yield from _certificate(site.tls.certificate, site.tls.key, hosts)


def _apps(site: Site) -> Iterator[Fault]:
    """No app of a session may have a name that is the site's."""
    named = [
        site.site.address,
        *(n for node in site.nodes.values() for n in (node.address, node.public)),
    ]
    for name in sorted({name.lower() for name in named if name}):
        if site.apps.domain and (f".{name}").endswith(f".{site.apps.domain}"):
            yield Fault(
                ("apps", "domain"),
                f"has {name} in it, a name of the site: an app of a session could be given that",
                f"choose another one, such as apps.{site.site.address}",
            )


def _certificate(certificate: Path, key: Path, hosts: Sequence[str]) -> Iterator[Fault]:
    from backendai_ctl.pki import tls  # takes its time to import

    try:
        chain, private = certificate.read_bytes(), key.read_bytes()
    except OSError:
        return  # told already, or not for this user to read
    told = set[str]()
    for host in hosts if chain and private else ():
        for reason in tls.faults(chain, private, host):
            if reason not in told:
                hint = f"give a certificate that serves {host}"
                yield Fault(("tls", "certificate"), reason, hint)
            told.add(reason)


def _server(
    name: str, server: Server, hosts: dict[str, list[str]], ports: list[int]
) -> Iterator[Fault]:
    """What holds for every server; `hosts`: key -> the hosts it names; `ports`: theirs."""
    if server.mode == "local":
        for key, named in hosts.items():
            if not all(map(is_loopback, named)):
                yield Fault(
                    (name, key),
                    'is not this host, but mode = "local"',
                    'set mode = "external", or leave this out',
                )
            elif not set(named) <= REACHED:
                yield Fault(
                    (name, key),
                    "is not where the site's own server listens",
                    f"leave it out, or name {LOOPBACK}",
                )
        for port in ports:
            if port < LOWEST_PORT:
                key = "port" if "host" in hosts else "endpoints"
                yield Fault(
                    (name, key),
                    f"port {port} is for root alone, and the site's own server is not root",
                    f"choose one from {LOWEST_PORT}",
                )
        for key in sorted(set(OURS[name].split()) & set(server.settings)):
            yield Fault((name, "settings", key), "is what backendai-ctl sets", "leave it out")
        if server.tls != "off":
            yield Fault(
                (name, "tls"),
                'is for external servers, but mode = "local"',
                'leave it out, or set mode = "external"',
            )
    elif server.settings:
        yield Fault(
            (name, "settings"),
            'is for the site\'s own server, but mode = "external"',
            "leave it out, and set what you need there yourself",
        )
    if server.ca is not None:
        if server.tls != "verify":
            yield Fault((name, "ca"), 'is used with tls = "verify" only', 'set tls = "verify"')
        yield from file_faults((name, "ca"), server.ca)


def _database(database: Database, facts: Facts) -> Iterator[Fault]:
    key = "endpoints" if database.endpoints else "host"
    hosts, ports = zip(*database.members, strict=True)
    yield from _server("database", database, {key: list(hosts)}, list(ports))
    yield from _members("database", database)
    if database.endpoints:
        yield from _unused_address("database", database, "the endpoints name the servers")
    if database.ca and database.ca.exists() and not database.ca.stat().st_mode & 0o004:
        yield Fault(
            ("database", "ca"),
            f"{database.ca} cannot be read by the services",
            f"it is not secret, run: chmod 644 {database.ca}",
        )
    absent = facts.absent()
    here = facts.installed() or set(facts.components) - absent
    names: dict[str, str] = {}
    for known in (one for one in facts.databases() if one.component not in absent):
        loc, given = ("database", known.name), database.of(known.name)
        needed = known.component in here
        yield from _password((*loc, "password_file"), given.password_file, needed, database)
        if (name := given.name or known.default) in names:
            reason = f"is the {names[name]}'s database as well"
            yield Fault((*loc, "name"), reason, f"give the {known.name} a database of its own")
        names[name] = known.name
    every = [known.name for known in facts.databases()]
    for name in set(database.model_extra or {}) - set(every):
        yield Fault(("database", name), "there is no such database", suggest(name, every))


def _cache(site: Site) -> Iterator[Fault]:
    cache = site.cache
    yield from _server("cache", cache, {"host": [cache.host]}, [cache.port])
    yield from _proxied("cache", cache)
    yield from _password(("cache", "password_file"), cache.password_file, True, cache)
    if cache.sentinel is None:
        return
    if cache.mode == "local":
        yield Fault(
            ("cache", "sentinel"), 'needs mode = "external"', 'set mode = "external" in [cache]'
        )
    if given := cache.sentinel.password_file:
        yield from file_faults(("cache", "sentinel", "password_file"), given, secret=True)
    yield from _unused_address("cache", cache, "the sentinels name the server")


def _unused_address(name: str, server: Server, reason: str) -> Iterator[Fault]:
    for key in {"host", "port"} & server.model_fields_set:
        yield Fault((name, key), reason, f"leave out {key}")


def _etcd(etcd: Etcd) -> Iterator[Fault]:
    pairs = [split_host_port(endpoint) for endpoint in etcd.endpoints]
    hosts = [host for host, _ in pairs]
    yield from _server("etcd", etcd, {"endpoints": hosts}, [port for _, port in pairs])
    yield from _proxied("etcd", etcd)
    for number, host in enumerate(hosts):
        if ":" in host and etcd.tls == "off":
            yield Fault(
                ("etcd", "endpoints", number),
                "is an IPv6 address, which Backend.AI's client for etcd cannot reach",
                "name the host by a name or an IPv4 address",
            )
    loc = ("etcd", "password_file")
    if etcd.user is None and etcd.password_file:
        yield Fault(loc, "has no use without a user", "name the user, or leave this out")
    else:
        yield from _password(loc, etcd.password_file, etcd.user is not None, etcd)
    if etcd.user == "root" and etcd.mode == "local":
        yield Fault(("etcd", "user"), "is etcd's own administrator", "choose another name")
    yield from _members("etcd", etcd)


def _members(name: str, server: Database | Etcd) -> Iterator[Fault]:
    loc = (name, "endpoints")
    if len(set(server.endpoints)) != len(server.endpoints):
        yield Fault(loc, "names a member twice", "name each member once")
    elif server.mode == "local" and len(server.endpoints) > 1:
        yield Fault(loc, 'names several members, but mode = "local"', 'set mode = "external"')


def _proxied(name: str, server: Proxied) -> Iterator[Fault]:
    for key, other in (("certificate", "key"), ("key", "certificate")):
        path: Path | None = getattr(server, key)
        if path is None:
            continue
        if server.tls == "off":
            yield Fault((name, key), "has no use without TLS", 'set tls = "verify"')
        if getattr(server, other) is None:
            yield Fault(
                (name, other), f"is missing: {key} is given", f"name the {other}'s PEM file"
            )
        yield from file_faults((name, key), path, secret=key == "key")


def _password(
    loc: tuple[str, ...], given: Path | None, needed: bool, server: Server
) -> Iterator[Fault]:
    if given is not None:
        yield from file_faults(loc, given, secret=True)
    elif needed and server.mode == "external":
        yield Fault(
            loc,
            f'is missing: {loc[0]} has mode = "external"',
            "name a file (mode 0600) with the password in one line",
        )


def _storage(site: Site, facts: Facts) -> Iterator[Fault]:
    for name, volume in site.storage.volumes.items():
        if volume.kind == "nfs" and volume.server is None:
            loc = ("storage", "volumes", name, "server")
            yield Fault(loc, 'is missing with kind = "nfs"', "add server")
        for key in ("server", "export"):
            loc = ("storage", "volumes", name, key)
            if volume.kind == "local" and getattr(volume, key) is not None:
                yield Fault(loc, 'has no use with kind = "local"', 'set kind = "nfs"')
        if volume.kind == "local" and "options" in volume.model_fields_set:
            yield Fault(
                ("storage", "volumes", name, "options"),
                'has no use with kind = "local"',
                'set kind = "nfs", or leave this out',
            )
        yield from _backend(("storage", "volumes", name, "backend_options"), volume)
    yield from volume_rules.contradictions(site, facts)
    if site.storage.default and site.storage.default not in site.storage.volumes:
        yield Fault(
            ("storage", "default"),
            f"there is no volume {site.storage.default!r}",
            suggest(site.storage.default, site.storage.volumes),
        )
    paths = {name: site.volume_path(name, facts.paths.volumes) for name in site.storage.volumes}
    for name, path in paths.items():
        length = len(f"{unit_of(path)}.automount")
        if site.storage.volumes[name].kind == "nfs" and length > LONGEST_NAME:
            yield Fault(
                ("storage", "volumes", name, "path"),
                f"is too long: the unit that mounts it would have a name of {length} characters, "
                f"and {LONGEST_NAME} is the most (each byte that is not a plain letter takes four)",
                "name a shorter path",
            )
    for first, second in combinations(paths, 2):
        if paths[first].is_relative_to(paths[second]) or paths[second].is_relative_to(paths[first]):
            yield Fault(
                ("storage", "volumes", second, "path"),
                f"{paths[second]} and {paths[first]} of volume {first!r} overlap",
                "give each volume a folder of its own",
            )


def _backend(loc: tuple[str, ...], volume: Volume) -> Iterator[Fault]:
    path = volume.backend_options
    if path is None:
        if volume.backend not in backends.PLAIN:
            yield Fault(
                loc,
                f'is missing with backend = "{volume.backend}"',
                "name a TOML file with its endpoint, user and password; see STORAGE.md",
            )
        return
    if volume.backend == "vfs":
        yield Fault(loc, 'has no use with backend = "vfs"', "name another backend")
    unreadable = list(file_faults(loc, path, secret=True))
    yield from unreadable
    if not unreadable and os.access(path, os.R_OK) and (said := backends.fault(path)):
        yield Fault(loc, said, "correct that file")


def _network(site: Site) -> Iterator[Fault]:
    listens = not site.nodes and not is_loopback(site.network.listen)
    if listens and is_loopback(site.site.address):
        yield Fault(
            ("site", "address"),
            f"is {site.site.address!r}, which leads browsers elsewhere to themselves",
            "name the host or address by which they reach this site",
        )
    if not is_loopback(site.network.listen) and not site.network.allow:
        yield Fault(
            ("network", "allow"),
            f"is empty, but listen = {site.network.listen!r} is not a loopback address",
            'name who may connect, such as allow = ["192.168.0.0/24"]',
        )


def _ports(site: Site, facts: Facts) -> Iterator[Fault]:
    optional = {name: server for name, server in facts.servers.items() if server.optional}
    known = {name: c for name, c in {**facts.components, **optional}.items() if c.ports}
    for name, ports in site.network.ports.items():
        if name not in known:
            yield Fault(
                ("network", "ports", name), "there is no such component", suggest(name, known)
            )
            continue
        for what in ports:
            if what not in known[name].ports:
                yield Fault(
                    ("network", "ports", name, what),
                    "this component has no such port",
                    suggest(what, known[name].ports),
                )
    used = sorted(_used(site, facts), key=lambda use: (use[0], bool(use[2])))
    for (first, use, loc), (second, other, other_loc) in pairwise(used):
        if second[0] <= first[1] and (loc or other_loc):
            yield Fault(
                other_loc or loc,
                f"port {second[0]} is used twice: {other} and {use}",
                "choose another one",
            )


def _used(site: Site, facts: Facts) -> Iterator[tuple[tuple[int, int], str, tuple[str, ...]]]:
    """Every range of ports on a host with all components: what for, and the key that set it."""
    absent = facts.absent()
    for listener in (one for one in documented(facts) if one.component not in absent):
        name, server = listener.component, facts.servers.get(listener.component)
        component = server if server and server.optional else facts.components.get(name)
        mine = site.network.ports.get(listener.component, {})
        if listener.what in mine and component and listener.what in component.ports:
            port = mine[listener.what]
            where = ("network", "ports", listener.component, listener.what)
            yield (port, port), dotted(where), where
        elif listener.what == SESSIONS.what:
            loc = ("agent", "container_ports")
            yield site.agent.container_ports, dotted(loc), loc
        elif server and server.ports and not server.optional:
            if layout.mode(site, server.name) == "local":
                port = server_port(site, server, listener.what)
                table = layout.TABLES[server.name]
                loc = (table, "endpoints" if table == "etcd" else "port")
                moved = port != server.ports[listener.what]
                yield (port, port), f"{server.name} ({listener.what})", loc if moved else ()
        elif listener.ports[0]:
            yield listener.ports, f"{listener.component} ({listener.what})", ()
