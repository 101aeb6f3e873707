from __future__ import annotations

from pathlib import Path

import pytest

from devtools.bench_start import distributions, find_deb, report
from releasekit.errors import Failure


def _runs(*cpu: float) -> list[list[tuple[float, float]]]:
    return [[(9.0, seconds) for seconds in cpu]]


def test_both_goals_must_be_met_in_processor_time() -> None:
    text, good = report("x", _runs(2, 2, 2), _runs(2, 2))
    assert good and "1.00" in text
    assert not report("x", _runs(3, 2, 2), _runs(2, 2))[1]
    assert not report("x", _runs(2, 2, 2), _runs(1, 1))[1]


def test_the_least_of_all_rounds_counts() -> None:
    assert report("x", _runs(9, 2, 2) + _runs(2, 2, 2), _runs(2, 2))[1]


def test_a_deb_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="holds 0 debs of backendai-manager"):
        find_deb(tmp_path, "backendai-manager")


def test_a_deb_is_not_taken_for_one_with_a_longer_name(tmp_path: Path) -> None:
    (tmp_path / "backendai-manager-tools_1-1_amd64.deb").touch()
    deb = tmp_path / "backendai-manager_26.9.6-1_amd64.deb"
    deb.touch()
    assert find_deb(tmp_path, "backendai-manager") == deb


def test_the_distributions_of_a_component_are_read(tmp_path: Path) -> None:
    build = tmp_path / "BUILD"
    build.write_text('f(\n  distributions=[\n    "one",\n    "two[extra]",\n  ],\n)\n')
    assert distributions(build) == ["one", "two[extra]"]
