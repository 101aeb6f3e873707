"""What three-way merges promise whatever is on the three sides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backendai_ctl.platform.threeway import merge

sides = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6)


@given(sides, sides, sides)
def test_every_key_is_yours_or_the_releases(
    base: dict[str, str], yours: dict[str, str], new: dict[str, str]
) -> None:
    done = merge(base, yours, new)
    for key in {*base, *yours, *new}:
        edited = yours.get(key) != base.get(key)
        assert done.result.get(key) == (yours if edited else new).get(key)


@given(sides, sides, sides)
def test_what_is_told_is_what_is_done(
    base: dict[str, str], yours: dict[str, str], new: dict[str, str]
) -> None:
    done = merge(base, yours, new)
    changed = {**yours, **{key: after for key, (_, after) in done.changes.items()}}
    assert {key: value for key, value in changed.items() if value is not None} == done.result
    for told, before, after in ((done.changes, yours, done.result), (done.kept, yours, new)):
        assert all(pair == (before.get(key), after.get(key)) for key, pair in told.items())
    differ = {key for key in {*new, *done.result} if new.get(key) != done.result.get(key)}
    assert set(done.kept) == differ


@given(sides, sides, sides)
def test_the_next_run_has_nothing_to_do(
    base: dict[str, str], yours: dict[str, str], new: dict[str, str]
) -> None:
    first = merge(base, yours, new)
    again = merge(new, first.result, new)
    assert (again.result, again.changes, again.kept) == (first.result, {}, first.kept)


@given(sides, sides)
def test_without_edits_it_is_the_release(base: dict[str, str], new: dict[str, str]) -> None:
    done = merge(base, base, new)
    assert done.result == new and list(done.result) == list(new) and not done.kept
