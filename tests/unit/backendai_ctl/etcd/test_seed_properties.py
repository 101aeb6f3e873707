"""Seeding is a three-way merge in etcd, and undo brings back what was there before."""

from __future__ import annotations

import pytest
from fake_etcd import FakeEtcd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backendai_ctl.context import Context
from backendai_ctl.etcd import seed
from backendai_ctl.etcd import settings as shipped
from backendai_ctl.platform.threeway import merge

PREFIX = "/sorna/local/"
FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
sides = st.dictionaries(
    st.sampled_from(["a", "b", "x/password", "ü"]), st.sampled_from(["", "1", "2"])
)
edits = st.dictionaries(
    st.sampled_from(["a", "b", "x/password", "own"]),
    st.sampled_from(["1", "mine"]) | st.none(),
    max_size=3,
)


def begin(etcd: FakeEtcd, before: dict[str, str]) -> None:
    etcd.keys.clear()
    edit(etcd, before)


def edit(etcd: FakeEtcd, changes: dict[str, str | None] | dict[str, str]) -> None:
    for key, value in changes.items():
        etcd.put(PREFIX + key, value)


def ship(there: Context, values: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "wanted", lambda _: dict(values))
        seed.seed(there)
        assert not seed.seed(there).needed


@FEW
@given(sides, sides, edits, sides)
def test_it_is_a_three_way_merge(
    there: Context,
    etcd: FakeEtcd,
    before: dict[str, str],
    first: dict[str, str],
    changes: dict[str, str | None],
    second: dict[str, str],
) -> None:
    begin(etcd, before)
    ship(there, first)
    assert etcd.values(PREFIX) == merge({}, before, first).result
    edit(etcd, changes)
    mine = etcd.values(PREFIX)
    ship(there, second)
    kept = {key: value for key, value in mine.items() if key not in {*first, *second}}
    ours = {key: value for key, value in mine.items() if key not in kept}
    assert etcd.values(PREFIX) == {**kept, **merge(first, ours, second).result}


@FEW
@given(sides, sides, edits)
def test_undo_brings_back_what_was_not_edited_since(
    there: Context,
    etcd: FakeEtcd,
    before: dict[str, str],
    first: dict[str, str],
    changes: dict[str, str | None],
) -> None:
    begin(etcd, before)
    ship(there, first)
    after = etcd.values(PREFIX)
    if after == before:  # nothing was changed, so nothing can be undone
        return
    edit(etcd, changes)
    mine = etcd.values(PREFIX)
    seed.undo(there)
    now = etcd.values(PREFIX)
    for key in {*before, *after, *mine}:
        edited = mine.get(key) != after.get(key)
        assert now.get(key) == (mine if edited else before).get(key)
