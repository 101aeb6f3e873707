"""What a step is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Self

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.facts import Facts

NO_COMPONENT = ("",)  # of a step that matters always, and keeps no component from starting


class Step(ABC):
    """One idempotent piece of work.

    Each method raises Pending when something it needs (a server, systemd) is not there now, Problem
    on failure.
    """

    name: ClassVar[str]  # verb-noun, such as seed-etcd
    title: ClassVar[str]  # what the operator reads while it runs
    needs: ClassVar[tuple[str, ...]] = ()  # names of steps that must have succeeded
    components: ClassVar[tuple[str, ...]] = ()  # see `concerns`
    timeout: ClassVar[int]  # seconds

    def concerns(self, facts: Facts) -> tuple[str, ...]:  # of some it depends on them
        """Names of the components that it is for; (): it matters always, and to all of them."""
        return self.components

    @classmethod
    def made_for(cls, facts: Facts) -> Iterable[Self]:  # as above
        """The steps of this kind that a release has: one, as a rule."""
        return (cls(),)

    @abstractmethod
    def check(self, ctx: Context) -> list[Change]:
        """What is to do; changes nothing."""

    @abstractmethod
    def apply(self, ctx: Context) -> None:
        """Do it. It may be called again after a kill at any instant."""

    @abstractmethod
    def undo(self, ctx: Context) -> None:
        """Take back what apply made, as far as it is no data."""
