"""One configuration file: what we shipped last, yours, what we ship now, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.facts import Component
from backendai_ctl.platform import files
from backendai_ctl.platform.threeway import Merge, merge
from backendai_ctl.rendering import keyed
from backendai_ctl.rendering.render import base_path, render


@dataclass(frozen=True)
class Merged:
    """A file and what shall become of it. `yours` is None where there is no file."""

    path: Path
    base_path: Path
    base: str | None
    yours: str | None
    new: str
    result: str
    merge: Merge[Any]

    @property
    def changed(self) -> bool:
        return self.yours != self.result

    @property
    def up_to_date(self) -> bool:
        """Nothing to write, neither the file nor what we remember of it."""
        return not self.changed and self.base == self.new

    def lines(self, pairs: dict[str, tuple[Any, Any]]) -> list[str]:
        """Pairs of `merge` for people, without secrets."""
        return [f"{k}: {keyed.shown(k, a)} -> {keyed.shown(k, b)}" for k, (a, b) in pairs.items()]


def merged(ctx: Context, component: Component) -> Merged:
    """What the component's file shall be. Problem if a side is not readable; changes nothing."""
    path = ctx.paths.config / component.config
    remembered = base_path(ctx, component)
    base, yours = files.read(remembered), files.read(path)
    new = render(ctx, component)
    new_keys = keyed.parse(path, new)
    base_keys = keyed.parse(remembered, base) if base else {}
    if yours is None:
        done = merge({}, {}, new_keys)
        result = new
    else:
        done = merge(base_keys, keyed.parse(path, yours), new_keys)
        result = new if yours == base else _edited(path, yours, done)
    return Merged(path, remembered, base, yours, new, result, done)


def _edited(path: Path, yours: str, done: Merge[Any]) -> str:
    return keyed.edit(path, yours, done.changes) if done.changes else yours
