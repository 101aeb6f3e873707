"""What a wheel holds and a package leaves out: a table of patterns, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from releasekit.errors import Failure
from releasekit.locks import canonical


@dataclass(frozen=True)
class Rule:
    """One row: files of `distribution` (`*`: of any) that match `pattern` are left out.

    Patterns are relative to site-packages; `*` stays within one folder, `**` spans folders.
    """

    distribution: str
    pattern: str
    reason: str

    def matches(self, distribution: str, path: str) -> bool:
        return self.distribution in ("*", distribution) and bool(
            re.fullmatch(_expression(self.pattern), path)
        )


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    spelled = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return "".join(spelled.get(part, re.escape(part)) for part in parts)


def load(rows: Iterable[Mapping[str, Any]], *, file: str) -> tuple[Rule, ...]:
    """Check and read the rows of a prune table; `file` is named in errors."""
    rules = []
    for number, row in enumerate(rows, 1):
        for key in ("distribution", "pattern", "reason"):
            if not isinstance(row.get(key), str) or not row[key].strip():
                raise Failure(
                    f"{file}: row {number} has no `{key}`",
                    hint="every row needs a distribution, a pattern and the reason for leaving it out",
                )
        unknown = sorted(set(row) - {"distribution", "pattern", "reason"})
        if unknown:
            raise Failure(f"{file}: row {number}: unknown key `{unknown[0]}`", hint="remove it")
        name = row["distribution"]
        rules.append(Rule(name if name == "*" else canonical(name), row["pattern"], row["reason"]))
    return tuple(rules)


def rule_for(rules: Iterable[Rule], distribution: str, path: str) -> Rule | None:
    """The first rule that leaves `path` out, or None."""
    return next((rule for rule in rules if rule.matches(distribution, path)), None)
