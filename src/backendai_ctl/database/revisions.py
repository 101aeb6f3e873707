"""The schema revisions that the installed release knows, read from Alembic's scripts.

They are read, not imported: importing takes seconds and runs foreign code in our process.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from backendai_ctl.errors import Problem

# Alembic wraps all steps in one transaction; these words end it in the middle.
_COMMITS = re.compile(r"\bCOMMIT\b(?!\s+DROP)|autocommit_block")


@dataclass(frozen=True)
class Revisions:
    """Revision -> those it comes after. `committing`: they do not run inside one transaction."""

    before: dict[str, tuple[str, ...]]
    committing: frozenset[str] = frozenset()

    @cached_property
    def head(self) -> str:
        """The newest; Problem if there are several or none."""
        heads = set(self.before) - {name for names in self.before.values() for name in names}
        if len(heads) != 1:
            raise Problem(
                f"the release has {len(heads)} newest schema revisions, not one",
                hint="install the packages again",
            )
        return heads.pop()

    def pending(self, current: str) -> set[str]:
        """What an upgrade from `current` to the head applies."""
        return self._up_to(self.head) - self._up_to(current)

    def one_transaction(self, current: str) -> bool:
        """Whether an upgrade from `current` happens completely or not at all."""
        return not self.pending(current) & self.committing

    def __contains__(self, revision: str) -> bool:
        return revision in self.before

    def _up_to(self, revision: str) -> set[str]:
        found: set[str] = set()
        waiting = [revision]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.before[name]
        return found


def read(folder: Path) -> Revisions:
    """All scripts of a folder. Problem if one has no revision or follows one that is missing."""
    before: dict[str, tuple[str, ...]] = {}
    committing: set[str] = set()
    for path in sorted(folder.glob("*.py")):
        text = path.read_text("utf-8")
        says = _assigned(text)
        if len(says) == 2:
            name, down = says["revision"], says["down_revision"]
            before[name] = (down,) if isinstance(down, str) else tuple(down or ())
            if _COMMITS.search(text):
                committing.add(name)
        elif path.name != "__init__.py":
            raise Problem(f"{path}: no schema revision in it", hint="install the packages again")
    missing = {name for names in before.values() for name in names} - set(before)
    if missing:
        raise Problem(
            f"{folder}: schema revisions {', '.join(sorted(missing))} are missing",
            hint="install the packages again",
        )
    return Revisions(before, frozenset(committing))


def _assigned(text: str) -> dict[str, Any]:
    """What a script assigns at its top to the names that Alembic reads."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id in ("revision", "down_revision"):
                found[target.id] = ast.literal_eval(node.value)
    return found
