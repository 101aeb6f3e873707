"""Every service of ours is confined: `systemd-analyze security` gives 1.2 or better."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from scenario import REPOSITORY
from site_host import ALL_UNITS, SERVERS, SERVICES, SiteHost

LIMIT = 1.2
TOLERANCE = 0.11  # systemd's releases weigh settings a little differently
STATED = REPOSITORY / "packaging/exposure.json"  # what the release page shows


@pytest.fixture(scope="module")
def scores(allinone: SiteHost) -> dict[str, float]:
    """Exposure of every unit of ours that is installed."""
    host = allinone.host
    names = host.sh("cd /usr/lib/systemd/system; ls backendai-*.service").split()
    found = {}
    for unit in names:
        said = host.check(["systemd-analyze", "security", "--no-pager", unit]).stdout
        match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert match, said
        found[unit] = float(match[1])
    return found


def test_every_service_is_at_most_so_exposed(
    scores: dict[str, float], show: Callable[[str], None]
) -> None:
    rows = [f"| {unit} | {score} |" for unit, score in sorted(scores.items())]
    show("\n".join(["| unit | exposure |", "|---|---|", *rows]))
    assert set(ALL_UNITS) <= set(scores)
    assert {u: score for u, score in scores.items() if u in ALL_UNITS and score > LIMIT} == {}


def test_the_release_page_states_what_was_measured(scores: dict[str, float]) -> None:
    stated = json.loads(STATED.read_text("utf-8"))
    shown = {**stated["units"], **stated["set_up"], **stated["engine"]}
    assert stated["limit"] == LIMIT
    assert set(ALL_UNITS) <= set(stated["units"])
    wrong = {
        unit: (shown.get(unit), scores.get(unit))
        for unit in {*shown, *scores}
        if abs(shown.get(unit, 99) - scores.get(unit, -99)) > TOLERANCE
    }
    assert not wrong, f"unit: stated, measured; write {STATED.name} anew from the table above"


def test_no_service_runs_as_root_or_may_become_it(allinone: SiteHost) -> None:
    """And each as an account of its own, but for those that work on files of users."""
    host, accounts = allinone.host, dict[str, int]()
    for name in (*SERVICES, *SERVERS):
        owner = "bai" if name in ("agent", "storage-proxy") else f"backendai-{name}"
        accounts[f"backendai-{name}.service"] = int(host.sh(f"id -u {owner}"))
    assert len(set(accounts.values())) == len(accounts) - 1 and 0 not in accounts.values()
    for unit, account in accounts.items():
        group = host.sh(f"systemctl show {unit} --property=ControlGroup --value")
        pids = host.sh(f"cat /sys/fs/cgroup{group}/cgroup.procs").split()
        assert len(pids) > 1, unit  # the supervisor and the server
        for pid in pids:
            status = host.run(["cat", f"/proc/{pid}/status"]).stdout
            fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
            if not fields:  # gone meanwhile
                continue
            assert set(fields["Uid"].split()) == {str(account)}, unit
            assert fields["NoNewPrivs"].strip() == "1", unit
            assert int(fields["CapBnd"], 16) == 0, unit
