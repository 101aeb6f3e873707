"""The picture of what takes up the bundle: a treemap of its files, and numbers that people read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from releasekit.treemap import Box, squarify

WIDTH, HEIGHT = 1200.0, 560.0
_LEAST = 0.0012  # share of the whole below which a file joins the others of its group
_VERSION = re.compile(r"(_[^_]+_[^_]+\.deb|-[^-]+-[^-]+\.[^.]+\.rpm)$")
_LETTER, _LINE = 7.0, 16.0  # width and height of a letter, in units of the drawing


@dataclass(frozen=True)
class Item:
    """A file and its group; `size` in bytes."""

    name: str
    group: str
    size: int


@dataclass(frozen=True)
class Tile:
    """An item at its place. `label` is what fits in it, maybe nothing."""

    item: Item
    box: Box
    label: str
    share: float


def human(size: float) -> str:
    """1_500_000 -> "1.5 MB": three digits at the most, units of 1000."""
    for unit in ("B", "kB", "MB"):
        if abs(size) < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def tiles(items: Iterable[Item]) -> list[Tile]:
    """Every group a rectangle, its files in it, largest first. An area says the same everywhere."""
    groups = _grouped(items)
    total = sum(item.size for group in groups.values() for item in group)
    order = sorted(groups, key=lambda name: (-_sum(groups[name]), name))
    boxes = squarify([_sum(groups[name]) for name in order], Box(0, 0, WIDTH, HEIGHT))
    found = []
    for name, box in zip(order, boxes):
        members = _merged(groups[name], total)
        for item, place in zip(members, squarify([m.size for m in members], box)):
            found.append(Tile(item, place, _label(item.name, place), item.size / total))
    return found


def _grouped(items: Iterable[Item]) -> Mapping[str, Sequence[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        if item.size:
            groups.setdefault(item.group, []).append(item)
    return groups


def _merged(items: Sequence[Item], total: int) -> list[Item]:
    """Largest first; the small ones as one."""
    small = [item for item in items if item.size < _LEAST * total]
    rest = [item for item in items if item.size >= _LEAST * total]
    if len(small) == 1:
        rest, small = [*rest, *small], []
    if small:
        rest.append(Item(f"{len(small)} smaller files", small[0].group, _sum(small)))
    return sorted(rest, key=lambda item: (-item.size, item.name))


def _label(name: str, box: Box) -> str:
    """The package's name, cut to what the box holds; without what all of ours begin with."""
    if box.height < _LINE:
        return ""
    text = _VERSION.sub("", name).removeprefix("backendai-")
    letters = int((box.width - 8) / _LETTER)
    if len(text) <= letters:
        return text
    return f"{text[: letters - 1]}…" if letters >= 6 else ""


def _sum(items: Iterable[Item]) -> int:
    return sum(item.size for item in items)
