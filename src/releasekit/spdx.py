"""SPDX expressions: the library license-expression knows the grammar and every identifier."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from releasekit.model import UNKNOWN

# What wheels state in other words, in lower case; only what can mean nothing else.
ALIASES = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "3-clause bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "lgplv3": "LGPL-3.0-only",
    "mplv2.0": "MPL-2.0",
    "proprietary": "LicenseRef-proprietary",
    "the unlicense (unlicense)": "Unlicense",
}


@cache
def _licensing(known: bool = False) -> Any:
    """The library's parser; with `known` one that takes SPDX's own identifiers alone, in any case."""
    # Imported here, for rules of the packager know this module and run on another Python.
    from license_expression import Licensing, get_spdx_licensing

    return get_spdx_licensing() if known else Licensing()


def parsed(text: str) -> str:
    """An expression in SPDX's spelling; empty if the text is something else."""
    from license_expression import ExpressionError, ExpressionParseError

    try:
        found = _licensing(known=True).parse(text, validate=True, strict=True)
    except (ExpressionError, ExpressionParseError):
        return ""
    return "" if found is None else str(found)


def normal(said: str) -> str:
    """An SPDX expression for what a distribution says, UNKNOWN where it is none.

    Of a field that holds a whole text only its first line counts.
    """
    lines = said.strip().splitlines()
    plain = " ".join(lines[0].split()).rstrip(".") if lines else ""
    for text in (plain, re.sub(r"(?i) licen[cs]e$", "", plain)):
        found = ALIASES.get(text.lower()) or parsed(text)
        if found:
            return found
    return UNKNOWN


def terms(expression: str) -> list[str]:
    """What an expression joins by AND, outermost only: `A AND (B OR C)` -> [`A`, `B OR C`]."""
    spdx = _licensing()
    found = spdx.parse(expression)
    return [str(term) for term in (found.args if isinstance(found, spdx.AND) else [found])]


def join(expressions: Iterable[str], *, first: str = "") -> str:
    """One expression over all, each term once in the order given after `first`.

    What is UNKNOWN is left out unless nothing else is left.
    """
    found = dict.fromkeys([first] if first else [])
    for expression in expressions:
        found.update(dict.fromkeys(terms(expression)))
    known = [term for term in found if term != UNKNOWN] or [UNKNOWN]
    if len(known) == 1:
        return known[0]
    spdx = _licensing()
    return str(spdx.AND(*map(spdx.parse, known)).flatten())
