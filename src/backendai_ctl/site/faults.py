"""What is wrong in the site file: where, what, why, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backendai_ctl.errors import BadRequest
from backendai_ctl.site.locate import Loc

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Fault:
    """One fault; `line` is known once it was looked up in the file."""

    loc: Loc
    message: str
    hint: str
    line: int = 0

    @property
    def key(self) -> str:
        """The key as TOML writes it, as in network.ports.manager.api or storage.volumes[0]."""
        return dotted(self.loc)

    def at(self, line: int) -> Fault:
        return replace(self, line=line)


class SiteFaults(BadRequest):
    """All faults of a site file; nothing of it was used."""

    def __init__(self, path: Path, faults: Sequence[Fault]) -> None:
        self.path = path
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.key)))
        count = len(self.faults)
        said = "\n".join(self.lines())
        super().__init__(
            f"{count} fault{'s' if count > 1 else ''} in the site file, nothing was applied\n{said}",
            hint="correct it, then run: backendai-ctl config check",
        )

    def lines(self) -> list[str]:
        """A line for each fault, as compilers write it."""
        return [f"{self.path}:{f.line}: {f.key}: {f.message}; {f.hint}" for f in self.faults]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each fault, with its place."""
        file = str(self.path)
        return [
            {"file": file, "line": f.line, "key": f.key, "message": f.message, "hint": f.hint}
            for f in self.faults
        ]


def dotted(loc: Loc) -> str:
    """A path of keys as TOML writes it; (file) for the whole."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        text += "." if text else ""
        text += part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
    return text or "(file)"
