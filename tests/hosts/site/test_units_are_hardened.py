"""Every service of ours is confined: `systemd-analyze security` gives 1.2 or better."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from scenario import REPOSITORY
from site_host import UNITS, SiteHost

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
    assert set(UNITS) <= set(scores)
    assert {unit: score for unit, score in scores.items() if unit in UNITS and score > LIMIT} == {}


def test_the_release_page_states_what_was_measured(scores: dict[str, float]) -> None:
    stated = json.loads(STATED.read_text("utf-8"))
    shown = {**stated["units"], **stated["set_up"]}
    assert stated["limit"] == LIMIT
    assert set(UNITS) <= set(stated["units"])
    wrong = {
        unit: (shown.get(unit), scores.get(unit))
        for unit in {*shown, *scores}
        if abs(shown.get(unit, 99) - scores.get(unit, -99)) > TOLERANCE
    }
    assert not wrong, f"unit: stated, measured; write {STATED.name} anew from the table above"


def test_no_service_runs_as_root_or_may_become_it(allinone: SiteHost) -> None:
    host = allinone.host
    for unit in UNITS:
        pid = host.sh(f"systemctl show {unit} --property=MainPID --value")
        status = host.sh(f"cat /proc/{pid}/status")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        assert set(fields["Uid"].split()) == {"1100"}, unit
        assert fields["NoNewPrivs"].strip() == "1", unit
        assert int(fields["CapBnd"], 16) == 0, unit
