from __future__ import annotations

from typing import Any

import pytest

from releasekit.errors import Failure
from releasekit.prune import Rule, load, rule_for

ROW = {"distribution": "A_b", "pattern": "a/*.map", "reason": "maps"}


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a/*.map", "a/x.map", True),
        ("a/*.map", "a/b/x.map", False),
        ("a/**/*.map", "a/x.map", True),
        ("a/**/*.map", "a/b/c/x.map", True),
        ("a/**", "a/b/c", True),
        ("a/**", "ab/c", False),
        ("**/*.pyi", "x.pyi", True),
        ("**/*.pyi", "a/x.pyi", True),
        ("**/*.pyi", "a/x.py", False),
        ("a.b", "axb", False),
    ],
)
def test_one_star_stays_in_a_folder_and_two_span_folders(
    pattern: str, path: str, matches: bool
) -> None:
    assert Rule("*", pattern, "why").matches("any", path) is matches


def test_a_rule_is_for_its_distribution_or_for_all() -> None:
    rules = (Rule("a", "**", "own"), Rule("*", "**/*.pyi", "all"))
    assert rule_for(rules, "a", "x") == rules[0]
    assert rule_for(rules, "b", "x") is None
    assert rule_for(rules, "b", "x.pyi") == rules[1]


def test_names_of_distributions_may_be_spelt_as_people_do() -> None:
    assert load([ROW], file="f")[0].distribution == "a-b"
    assert load([{**ROW, "distribution": "*"}], file="f")[0].distribution == "*"


@pytest.mark.parametrize("key", ["distribution", "pattern", "reason"])
@pytest.mark.parametrize("value", [None, "", " ", 3])
def test_a_row_without_a_key_is_named_by_its_number(key: str, value: Any) -> None:
    with pytest.raises(Failure, match=rf"table\.toml: row 2 has no `{key}`"):
        load([ROW, {**ROW, key: value}], file="table.toml")


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(Failure, match="row 1: unknown key `patern`"):
        load([{**ROW, "patern": "x"}], file="f")
