"""What a step is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from backendai_ctl.context import Context


@dataclass(frozen=True)
class Change:
    """One thing a step would do, for people: `what` it is about and `how` it changes.

    Never holds a secret.
    """

    what: str
    how: str


class Step(Protocol):
    """One idempotent piece of work.

    `check` finds what is to do and changes nothing; `apply` does it and may be called again after
    a kill at any instant; `undo` takes back what apply made, as far as it is no data. Each raises
    Pending when something it needs (a server, systemd) is not there now, Problem on failure.
    """

    @property
    def name(self) -> str: ...  # verb-noun, such as seed-etcd

    @property
    def title(self) -> str: ...  # what the operator reads while it runs

    @property
    def needs(self) -> tuple[str, ...]: ...  # names of steps that must have succeeded

    @property
    def components(
        self,
    ) -> tuple[str, ...]: ...  # it matters where one of them is installed; (): always

    @property
    def limit(self) -> int: ...  # seconds

    def check(self, ctx: Context) -> list[Change]: ...

    def apply(self, ctx: Context) -> None: ...

    def undo(self, ctx: Context) -> None: ...
