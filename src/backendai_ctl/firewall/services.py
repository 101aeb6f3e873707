"""To which ports of the site each service may connect: those that its BUILD file names, and no other.

Units are kept to loopback and to nodes, not to ports, so who takes over one service would find all the
others. The kernel knows by its account whose a connection is. Root and people have no part in this;
services with the site's account, which users' files belong to, have what one of them needs.
"""

from __future__ import annotations

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.facts import Component
from backendai_ctl.firewall.ranges import ports
from backendai_ctl.topology import container_engine, listeners
from backendai_ctl.topology.ports import connecting

CHAIN = "from_services"


def permitted(ctx: Context) -> dict[str, list[tuple[int, int]]]:
    """Names of the services of this host -> the ports (first, last) to which each connects."""
    found: dict[str, list[tuple[int, int]]] = {service.name: [] for service in _services(ctx)}
    for listener in _listening(ctx):
        for name in connecting(ctx.facts, listener) & found.keys():
            found[name].append(listener.ports)
    return found


def _services(ctx: Context) -> list[Component]:
    """Those of this host; the container engine is root's."""
    components = [ctx.facts.components[name] for name in ctx.facts.installed()]
    servers = [s for s in ctx.facts.servers.values() if s.name != container_engine.NAME]
    return [*components, *servers]


def _listening(ctx: Context) -> list[listeners.Listener]:
    return listeners.numbered(listeners.of_site(ctx))


def _by_account(ctx: Context) -> dict[int, list[tuple[int, int]]]:
    """UID of each account that is there -> the ports to which it connects."""
    allowed, services = permitted(ctx), _services(ctx)
    uids = {name: uid for name, (uid, _) in accounts.numbers(services).items()}
    uids |= {service.name: ctx.facts.uid for service in services if not service.user}
    found: dict[int, list[tuple[int, int]]] = {}
    for name, uid in uids.items():
        found.setdefault(uid, []).extend(allowed[name])
    return found


def chain(ctx: Context) -> list[str]:
    """The chain as lines for nft; it uses the sets nodes4 and nodes6."""
    allowed = _by_account(ctx)
    uids = ", ".join(str(uid) for uid in sorted(allowed))
    if not uids:
        return []
    refused = f"tcp dport {{ {ports(x.ports for x in _listening(ctx))} }}"
    return [
        f"  chain {CHAIN} {{",
        # Before Docker rewrites where it goes.
        "    type filter hook output priority mangle; policy accept;",
        "    ct state established,related accept",
        f"    meta skuid != {{ {uids} }} accept",
        *(
            f"    meta skuid {uid} tcp dport {{ {ports(allowed[uid])} }} accept"
            for uid in sorted(allowed)
            if allowed[uid]
        ),
        # Said at once: who has no answer waits.
        f"    fib daddr type local {refused} reject with tcp reset",
        f"    ip daddr @nodes4 {refused} reject with tcp reset",
        f"    ip6 daddr @nodes6 {refused} reject with tcp reset",
        "  }",
    ]
