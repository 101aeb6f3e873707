"""Who connects to which port of which node: the table of docs/NODES.md, from the components' facts."""

from __future__ import annotations

from collections.abc import Iterable

from backendai_ctl import listeners
from backendai_ctl.facts import Facts
from backendai_ctl.nodes import layout
from backendai_ctl.servers import USERS
from backendai_ctl.storage import shared

USERS_OF_THE_SITE = "users"
_CONTAINERS = ("appproxy-worker",)  # who connects to what runs in containers


def table(facts: Facts) -> str:
    """As a Markdown table: every port that leaves loopback where its callers are on other nodes."""
    rows = ["| port | on nodes with | what for | from |", "|---|---|---|---|"]
    for listener in listeners.documented(facts):
        name, what = listener.component, listener.what
        callers = _callers(name, what)
        if not callers:
            continue
        first, last = listener.ports
        port = f"{first}-{last}" if last > first else str(first)
        rows.append(f"| {port} | {name} | {what} | {', '.join(callers)} |")
    return "\n".join(rows) + "\n"


def _callers(name: str, what: str) -> Iterable[str]:
    if (name, what) in layout.CALLERS:
        return layout.CALLERS[name, what]
    if name == "docker" and what == listeners.CONTAINERS.what:
        return _CONTAINERS
    if name == listeners.NFS.component:
        return shared.USERS
    if name in USERS and what != listeners.PEERS and name != "docker":
        return USERS[name]
    if (name, what) in listeners.FOR_USERS or (name, what) == ("appproxy-worker", _APPS):
        inside = layout.OF_USERS.get((name, what), ())
        return (USERS_OF_THE_SITE, *inside)
    return ()


_APPS = "apps of sessions, one port each"
