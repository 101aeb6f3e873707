from __future__ import annotations

import pytest

from releasekit.treemap import Box, squarify

SIZES = [600.0, 600.0, 400.0, 300.0, 200.0, 200.0, 100.0]
WHOLE = Box(0, 0, 600, 400)


def test_areas_are_in_proportion_and_fill_the_box() -> None:
    boxes = squarify(SIZES, WHOLE)
    for size, box in zip(SIZES, boxes):
        assert box.area == pytest.approx(WHOLE.area * size / sum(SIZES))
    assert sum(box.area for box in boxes) == pytest.approx(WHOLE.area)


def test_no_two_overlap_and_none_is_outside() -> None:
    boxes = squarify(SIZES, WHOLE)
    for number, one in enumerate(boxes):
        assert one.x >= -1e-9 and one.x + one.width <= 600 + 1e-6
        assert one.y >= -1e-9 and one.y + one.height <= 400 + 1e-6
        for other in boxes[number + 1 :]:
            apart = (
                one.x + one.width <= other.x + 1e-6
                or other.x + other.width <= one.x + 1e-6
                or one.y + one.height <= other.y + 1e-6
                or other.y + other.height <= one.y + 1e-6
            )
            assert apart


def test_rectangles_are_as_square_as_in_the_paper() -> None:
    ratios = [max(b.width / b.height, b.height / b.width) for b in squarify(SIZES, WHOLE)]
    assert max(ratios) < 3


def test_one_size_takes_all_and_none_takes_nothing() -> None:
    assert squarify([3], WHOLE) == [WHOLE]
    assert squarify([], WHOLE) == []
