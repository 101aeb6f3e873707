"""Who connects to which port: the table of docs/NODES.md and more, from the components' facts."""

from __future__ import annotations

from collections.abc import Iterable

from backendai_ctl.facts import USERS, Facts
from backendai_ctl.topology import container_engine, layout, listeners, tls_proxy


def table(facts: Facts) -> str:
    """As a Markdown table: every port that leaves loopback where its callers are on other nodes."""
    rows = ["| port | on nodes with | what for | from |", "|---|---|---|---|"]
    for listener in listeners.documented(facts):
        name, what = listener.component, listener.what
        callers = _callers(facts, name, what)
        if not callers:
            continue
        first, last = listener.ports
        port = f"{first}-{last}" if last > first else str(first)
        rows.append(f"| {port} | {name} | {what} | {', '.join(callers)} |")
    return "\n".join(rows) + "\n"


def _callers(facts: Facts, name: str, what: str) -> Iterable[str]:
    known = facts.services().get(name)
    if known and what in known.opens:
        return (known.opens[what][2],) if known.opens[what][2] == USERS else ()
    if name == container_engine.NAME:
        # The manager asks services of models itself whether they are well.
        return (*facts.carriers(), "manager") if what == listeners.SESSIONS.what else ()
    if name == listeners.NFS.component:
        return facts.on_volumes()
    if facts.using(name):
        return () if what == listeners.PEERS else facts.using(name)
    return (*((USERS,) if facts.for_users(name, what) else ()), *facts.callers(name, what))


def connecting(facts: Facts, listener: listeners.Listener) -> frozenset[str]:
    """Names of the services that connect to a port, on their own host or on another node."""
    name, what = listener.component, listener.what
    if listener.unit == tls_proxy.UNIT:
        behind = [
            s for s, t in layout.TABLES.items() if tls_proxy.PORTS.get(t) == listener.ports[0]
        ]
        return frozenset(user for server in behind for user in facts.using(server))
    found = {name, *_callers(facts, name, what)} - {USERS}
    if name == container_engine.NAME:
        found.update(facts.using(name))
    known = facts.services().get(name)
    if known and what == listeners.port_named(known, known.metrics):
        found.add(layout.METRICS)
    return frozenset(found)
