"""The order of versions is an order, and dpkg's."""

from __future__ import annotations

import shutil
import subprocess
from functools import cmp_to_key

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.apt import compare_versions

# Stretches that decide: digits with zeros before, letters, signs, what sorts before the end.
parts = st.sampled_from(["0", "00", "1", "9", "10", "010", "a", "b", "Z", ".", "+", "~", "~~", "-"])
upstreams = st.lists(parts, max_size=6).map(lambda found: "1" + "".join(found).strip("-"))
revisions = st.lists(parts.filter(lambda part: part != "-"), max_size=4).map("".join)
versions = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{'-' + revision if revision else ''}",
    st.sampled_from(["", "0:", "1:", "10:"]),
    upstreams,
    revisions,
)


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


@given(versions, versions)
def test_turned_round_it_is_the_opposite(one: str, other: str) -> None:
    assert sign(compare_versions(one, other)) == -sign(compare_versions(other, one))
    assert compare_versions(one, one) == 0


@given(st.lists(versions, min_size=3, max_size=3))
def test_it_is_one_order_for_all(found: list[str]) -> None:
    low, middle, high = sorted(found, key=cmp_to_key(compare_versions))
    assert compare_versions(low, middle) <= 0
    assert compare_versions(middle, high) <= 0
    assert compare_versions(low, high) <= 0


@given(versions)
def test_a_tilde_is_before_and_a_letter_behind(version: str) -> None:
    assert compare_versions(f"{version}~", version) < 0
    assert compare_versions(f"{version}a", version) > 0


@settings(max_examples=100)
@given(versions, versions)
def test_dpkg_says_the_same(one: str, other: str) -> None:
    if not shutil.which("dpkg"):
        pytest.skip("dpkg is not on this machine")
    how = {-1: "lt", 0: "eq", 1: "gt"}[sign(compare_versions(one, other))]
    assert subprocess.run(["dpkg", "--compare-versions", one, how, other]).returncode == 0
