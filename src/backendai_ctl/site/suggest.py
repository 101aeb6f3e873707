"""Near names for one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(wrong: str, known: Iterable[str]) -> str:
    """What to write instead: the nearest name, or all."""
    names = list(known)
    near = get_close_matches(wrong, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"choose one of: {', '.join(names)}" if names else "leave it out"
