"""Who may send frames into sessions on several nodes: the kernel of another node, and nobody else.

VXLAN asks nobody who he is. What containers send to its port is dropped with all that they send to
nodes; these chains are for others in the network, and for programs of this host, which would come from
a node.
"""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.firewall.containers import of_nodes

_EVERYBODY = "0-4294967294"  # users: what the kernel itself sends, such as VXLAN, has none


def chains(ctx: Context) -> list[str]:
    """The chains as lines for nft; they use the sets nodes4 and nodes6."""
    port = f"udp dport {ctx.site.agent.cluster_port}"
    return [
        "  chain from_nodes {",
        # Between containers of one node the kernel sends no packet.
        '    iifname "lo" drop',
        *of_nodes(),
        "    drop",
        "  }",
        "  chain into_clusters {",
        "    type filter hook prerouting priority mangle; policy accept;",
        f"    {port} fib daddr type local jump from_nodes",
        "  }",
        "  chain out_of_programs {",
        "    type filter hook output priority mangle; policy accept;",
        f"    ip daddr @nodes4 {port} meta skuid {_EVERYBODY} drop",
        f"    ip6 daddr @nodes6 {port} meta skuid {_EVERYBODY} drop",
        "  }",
    ]
