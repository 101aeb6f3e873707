from __future__ import annotations

from release_tool.tables import duration, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("a", "b"), [("long", "x|y")]) == (
        "| a    | b    |\n|------|------|\n| long | x\\|y |"
    )


def test_durations_read_like_durations() -> None:
    assert [duration(s) for s in (3.14, 42.4, 75.2)] == ["3.1 s", "42 s", "1 min 15 s"]
