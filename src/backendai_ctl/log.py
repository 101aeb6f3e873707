"""What backendai-ctl says of its own work: on standard error, which is the journal's in a unit.

Warnings always; with `--debug` also every program that was run, for how long and with which status.
Programs get secrets by files and standard input alone, and those are never logged; what looks like a
secret all the same is hidden by one rule, `hidden`.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from pathlib import Path

ROOT = "backendai_ctl"
_RULES = (
    (
        re.compile(r"(?i)((?:password|passwd|passphrase|secret|token)[\w-]*[\"']?\s*[=:]\s*)\S+"),
        r"\1***",
    ),
    (re.compile(r"(\w://[^/\s:@]*:)[^@/\s]+@"), r"\1***@"),
    (re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*", re.DOTALL), "*** private key ***"),
)
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}  # syslog(3)


def hidden(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, put in _RULES:
        text = pattern.sub(put, text)
    return text


def frames(error: BaseException) -> list[str]:
    """Where an error came from, the innermost last: `FILE:LINE FUNCTION`. Neither its text nor values."""
    found = traceback.extract_tb(error.__traceback__)
    return [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in found]


def trace(error: BaseException) -> str:
    """The frames in one line, the innermost first."""
    return " < ".join(reversed(frames(error)))


class _Line(logging.Formatter):
    """`level: message`; for the journal with its priority in front, see sd-daemon(3)."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self.journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = hidden(record.getMessage()).replace("\n", " \\ ")
        prefix = f"<{_PRIORITIES.get(record.levelno, 5)}>" if self.journal else ""
        return f"{prefix}backendai-ctl: {record.levelname.lower()}: {text}"


def set_up(*, debug: bool) -> None:
    """Log to standard error: warnings, and all of it with `debug`. May be called again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(journal=_is_journal()))
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)


def _is_journal() -> bool:
    """Whether standard error goes to the journal; see JOURNAL_STREAM in systemd.exec(5)."""
    try:
        there = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"
