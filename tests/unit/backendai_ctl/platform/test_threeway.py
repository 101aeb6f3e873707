"""Three-way merges: your edits win, everything else follows the release."""

from __future__ import annotations

import pytest

from backendai_ctl.platform.threeway import merge


@pytest.mark.parametrize(
    ("base", "yours", "new", "result"),
    [
        pytest.param("a", "a", "a", "a", id="nothing to do"),
        pytest.param("a", "a", "b", "b", id="untouched follows the release"),
        pytest.param("a", "x", "b", "x", id="an edit wins"),
        pytest.param("a", "b", "b", "b", id="an edit the release caught up with"),
        pytest.param("a", None, "b", None, id="deleted stays deleted"),
        pytest.param("a", None, "a", None, id="deleted stays deleted without news"),
        pytest.param("a", "a", None, None, id="no longer shipped goes"),
        pytest.param("a", "x", None, "x", id="no longer shipped but edited stays"),
        pytest.param("a", None, None, None, id="gone on both sides"),
        pytest.param(None, None, "b", "b", id="newly shipped comes"),
        pytest.param(None, "x", None, "x", id="your own key stays"),
        pytest.param(None, "x", "b", "x", id="a value that was there before us wins"),
        pytest.param(None, "b", "b", "b", id="there before us, the same"),
    ],
)
def test_what_becomes_of_a_key(
    base: str | None, yours: str | None, new: str | None, result: str | None
) -> None:
    def side(value: str | None) -> dict[str, str]:
        return {} if value is None else {"key": value}

    done = merge(side(base), side(yours), side(new))
    assert done.result == side(result)
    assert done.changes == ({} if yours == result else {"key": (yours, result)})
    assert done.kept == ({} if result == new else {"key": (yours, new)})


def test_a_second_merge_changes_nothing() -> None:
    base, yours, new = {"a": "1", "b": "1", "d": "1"}, {"a": "1", "b": "2"}, {"a": "3", "c": "4"}
    first = merge(base, yours, new)
    second = merge(new, first.result, new)
    assert first.result == {"a": "3", "c": "4", "b": "2"}
    assert second.result == first.result
    assert not second.changes
    assert second.kept == first.kept


def test_empty_values_are_values() -> None:
    done = merge({"a": "x"}, {"a": ""}, {"a": "y"})
    assert done.result == {"a": ""}
    assert done.kept == {"a": ("", "y")}
