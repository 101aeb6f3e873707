"""The table that bench-install prints, and which packages its floor unpacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from devtools.bench_install import Measured, came, rows_of

EVENTS = """\
{"event": "begin", "step": "seed-etcd"}
{"event": "done", "step": "seed-etcd", "seconds": 2.0}
{"event": "failed", "step": "start-services", "what": "not healthy"}
{"event": "done", "step": "start-services", "seconds": 8.0}
"""


def test_packages_are_what_the_steps_did_not_take() -> None:
    rows = rows_of(Measured("x", installed=30.0, healthy=10.0, floor=4.0, events=EVENTS))
    assert rows == [
        ["install.sh checks, copies, unpacks", "20.0", "0.50"],
        ["seed-etcd", "2.0", "0.05"],
        ["start-services", "8.0", "0.20"],
        ["status: every service is healthy", "10.0", "0.25"],
        ["together", "40.0", "1.00"],
        ["floor: dpkg --unpack of the same debs", "4.0", "0.10"],
    ]


def test_the_floor_unpacks_what_came_and_nothing_else() -> None:
    class Host:
        def check(self, _call: list[str]) -> Any:
            return SimpleNamespace(stdout="a_1-1_all.deb\nb_2:3-1_amd64.deb\nbase_1_amd64.deb\n")

        def sh(self, _script: str) -> str:
            return "/p/a_1-1_all.deb\n/p/b_3-1_amd64.deb\n/p/c_1_amd64.deb\n"

    assert came(Host(), "/p") == ["/p/a_1-1_all.deb", "/p/b_3-1_amd64.deb"]
