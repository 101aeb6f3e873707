"""Packages are much smaller than the PEXes of the same components, for what they share is there once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

LIMIT = 0.45  # sum of debs / sum of PEXes, both in bytes
CORE = [
    "manager",
    "agent",
    "storage-proxy",
    "webserver",
    "appproxy-coordinator",
    "appproxy-worker",
    "client",
]

Report = Callable[[str, object], None]
Show = Callable[[str], None]


def total(dist: Path, names: list[str], form: str) -> int:
    return sum(path.stat().st_size for n in names for path in dist.glob(form.format(n)))


def test_debs_of_the_core_components_are_at_most_45_percent_of_their_pexes(
    dist: Path, record_property: Report, show: Show
) -> None:
    debs = total(dist, [*CORE, "runtime", "common"], "backendai-{}_*.deb")
    pexes = total(dist, CORE, "backendai-{}.pex")
    everything = sum(p.stat().st_size for p in dist.glob("*.deb"))
    all_pexes = sum(p.stat().st_size for p in dist.glob("*.pex"))
    rows = (
        ("seven core components, with runtime and common", debs, pexes),
        ("all debs, all PEXes", everything, all_pexes),
    )
    for what, ours, theirs in rows:
        show(f"{what}: {ours:,} / {theirs:,} bytes = {ours / theirs:.3f}")
        record_property(what, round(ours / theirs, 3))
    assert debs / pexes <= LIMIT
