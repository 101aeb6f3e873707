"""Merging three versions: what was shipped before, yours, what is shipped now.

Your edits win, deletions too; what you left alone follows what is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Merge(Generic[T]):
    """The outcome. `None` in a pair means that the key is absent there."""

    result: dict[str, T]  # what there shall be
    kept: dict[str, tuple[T | None, T | None]]  # your edits that won: (yours, shipped now)
    changes: dict[str, tuple[T | None, T | None]]  # from yours to the result: (before, after)


def merge(base: Mapping[str, T], yours: Mapping[str, T], new: Mapping[str, T]) -> Merge[T]:
    """Merge by key. An empty `base` is a first run: whatever differs in `yours` is an edit.

    The result has the keys in the order of `new`, then those only in `yours`. Values are compared
    by ==; None is no value.
    """
    result: dict[str, T] = {}
    kept: dict[str, tuple[T | None, T | None]] = {}
    changes: dict[str, tuple[T | None, T | None]] = {}
    for key in [*new, *(key for key in yours if key not in new)]:
        before, mine, now = base.get(key), yours.get(key), new.get(key)
        final = now if mine == before else mine
        if final is not None:
            result[key] = final
        if final != now:
            kept[key] = (mine, now)
        if final != mine:
            changes[key] = (mine, final)
    return Merge(result, kept, changes)
