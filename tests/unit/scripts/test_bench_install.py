"""The table that bench-install prints."""

from __future__ import annotations

from devtools.bench_install import rows_of

EVENTS = """\
{"event": "begin", "step": "seed-etcd"}
{"event": "done", "step": "seed-etcd", "seconds": 2.0}
{"event": "failed", "step": "start-services", "what": "not healthy"}
{"event": "done", "step": "start-services", "seconds": 8.0}
"""


def test_packages_are_what_the_steps_did_not_take() -> None:
    rows = rows_of(EVENTS, installed=30.0, healthy=10.0)
    assert rows == [
        ["unpack and configure packages", "20.0", "0.50"],
        ["seed-etcd", "2.0", "0.05"],
        ["start-services", "8.0", "0.20"],
        ["status: every service is healthy", "10.0", "0.25"],
    ]
