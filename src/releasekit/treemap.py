"""Areas in proportion to sizes: the squarified treemap of Bruls, Huizing and van Wijk (2000)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle, in units of the drawing, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


def squarify(sizes: Sequence[float], box: Box) -> list[Box]:
    """A rectangle for each size, in their order, which together fill `box`.

    Sizes are positive and best given largest first: then no rectangle is thinner than need be.
    """
    total = sum(sizes)
    boxes: list[Box] = []
    areas = [size * box.area / total for size in sizes]
    while areas:
        short = min(box.width, box.height)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], short) <= _worst(
            areas[:count], short
        ):
            count += 1
        last = count == len(areas)
        row, box = _lay(areas[:count], box, last=last)
        boxes += row
        areas = areas[count:]
    return boxes


def _worst(areas: Sequence[float], short: float) -> float:
    """The largest ratio of the sides when these areas share a row along the shorter side."""
    depth = sum(areas) / short
    return max(max(depth * depth / area, area / (depth * depth)) for area in areas)


def _lay(areas: Sequence[float], box: Box, *, last: bool) -> tuple[list[Box], Box]:
    """The rectangles of one row along the shorter side, and what is left of the box."""
    upright = box.width >= box.height  # the row stands at the left
    short = box.height if upright else box.width
    depth = (box.width if upright else box.height) if last else sum(areas) / short
    row, at = [], 0.0
    for area in areas:
        length = area / depth
        if upright:
            row.append(Box(box.x, box.y + at, depth, length))
        else:
            row.append(Box(box.x + at, box.y, length, depth))
        at += length
    if upright:
        return row, Box(box.x + depth, box.y, box.width - depth, box.height)
    return row, Box(box.x, box.y + depth, box.width, box.height - depth)
