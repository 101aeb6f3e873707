"""What a check is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.result import Result


@dataclass(frozen=True)
class Check:
    """One look at this host. `why` it matters; `served`: needs a configured site."""

    group: str
    name: str
    why: str
    look: Callable[[Context], Result]
    served: bool = False
