from __future__ import annotations

from pathlib import Path

import pytest

from devtools.bench_nodes import SITES, main, rows_of


def test_every_site_has_as_many_nodes_as_it_says_and_one_that_manages() -> None:
    for number, roles in SITES.items():
        assert len(roles) == number
        assert {"management", "all-in-one"} & set(roles["mgmt"])


def test_the_total_is_shown_whole_and_per_node() -> None:
    rows = rows_of(3, {"mgmt": 60.0, "storage1": 30.0, "compute1": 31.0}, 62.0, 20.0, 90.0)
    assert rows[-2][1:] == ["total until healthy, agents ALIVE", "90.0"]
    assert rows[-1][1:] == ["total per node", "30.0"]
    assert not [row for row in rows_of(1, {"mgmt": 60.0}, 60, 0, 61) if "join" in row[1]]


def test_other_numbers_of_nodes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(Path(), ["--nodes", "2"])
    assert "invalid choice" in capsys.readouterr().err
