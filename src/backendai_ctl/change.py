"""What would be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One thing that would be done, for people: `what` it is about and `how` it changes.

    Never holds a secret.
    """

    what: str
    how: str

    def __str__(self) -> str:
        return f"{self.what}: {self.how}"
