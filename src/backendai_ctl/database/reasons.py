"""Why a program of PostgreSQL or Backend.AI failed, in its own words, without what it worked on.

Rows hold keys and passwords' hashes, and messages quote rows: in lines after the first, which PostgreSQL
calls DETAIL and CONTEXT, but also in the first one (`invalid input syntax for type integer: "..."`).
What is told here goes into records, logs and terminals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# For psql: errors in one line, without the row.
SETTINGS = ("--set=VERBOSITY=terse", "--set=SHOW_CONTEXT=never")
_LONGEST = 400
_PYTHON = re.compile(r"[\w.]+(Error|Exception|Failed|Violation): ")
_POSTGRESQL = re.compile(r"(psql|pg_dump|pg_restore|setpriv)\b[^ ]*: ")
_MORE = re.compile(
    r"[^ ]*: *(detail|hint|context|statement|warning|notice|info|log):", re.IGNORECASE
)
_KIND = re.compile(
    r"\b(class|column|constraint|database|domain|encoding|extension|file|function|index|language|named"
    r"|option|parameter|relation|role|schema|sequence|server|server at|socket|table|trigger|type|user"
    r"|view|at) $"
)


def reason(said: str, status: int = 1) -> str:
    """The error among what was said: the first of PostgreSQL's programs, the last of Python's."""
    found = [_without_values(line) for line in _errors(said.splitlines())]
    return found[0][:_LONGEST] if found else f"exit status {status}, no reason given"


def of_error(error: BaseException) -> str:
    """The same of an error of the driver, which adds DETAIL and HINT in further lines."""
    first = str(error).partition("\n")[0]
    return _without_values(first)[:_LONGEST] or type(error).__name__


def _errors(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if _POSTGRESQL.match(line) and not _MORE.match(line):
            yield line.strip()
    for line in reversed(lines):
        if _PYTHON.match(line):
            yield line.partition("[SQL")[0].strip()


def _without_values(line: str) -> str:
    """A message up to the first thing in quotes that is not the name of something."""
    at = 0
    while opening := re.compile(r"""(?<!\w)["']""").search(line, at):
        if not _KIND.search(line[: opening.start()]):
            return f"{line[: opening.start()].rstrip(' :(')} (not shown)"
        closing = line.find(opening[0], opening.end())
        at = closing + 1 if closing >= 0 else len(line)
    return line
