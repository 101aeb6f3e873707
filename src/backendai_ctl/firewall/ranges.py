"""Ports and addresses as nft writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def ports(found: Iterable[tuple[int, int]]) -> str:
    """Ranges of ports (first, last), each port once: nft refuses ranges that overlap."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if merged and first <= merged[-1][1] + 1 and last > first:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        elif not merged or first > merged[-1][1]:
            merged.append((first, last))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in merged)


def of_version(networks: Iterable[str], version: int) -> list[str]:
    """Addresses and networks of one version of IP, as networks."""
    found = {ipaddress.ip_network(text, strict=False) for text in networks}
    return [str(network) for network in sorted(found, key=str) if network.version == version]


def as_set(name: str, kind: str, elements: list[str]) -> list[str]:
    """A set as lines for nft; it may be empty."""
    made = [f"  set {name} {{", f"    type {kind}", "    flags interval", "    auto-merge"]
    made += [f"    elements = {{ {', '.join(elements)} }}"] if elements else []
    return [*made, "  }"]
