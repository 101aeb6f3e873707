"""What was done: one line of JSON for every event, kept through crashes.

`journal.jsonl` grows only when something was done; `result.json` is the outcome of the last run
that differed from the one before.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform import files
from backendai_ctl.platform.clock import now

KEEP = 2000  # lines; older ones are dropped when the file has twice as many


@dataclass(frozen=True)
class Outcome:
    """How a step ended. `state`: done (now), same (nothing to do), pending, failed or blocked."""

    state: str
    message: str = ""
    hint: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.state in ("done", "same")

    def error(self, step: str) -> Problem:
        """That the step is not done, and why."""
        kind = Problem if self.state == "failed" else Pending
        return kind(f"{step}: {self.message}", hint=self.hint)


class Journal:
    """The journal below `folder` (/var/lib/backendai/ctl)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal.jsonl"
        self.result = folder / "result.json"

    def add(self, event: str, **facts: Any) -> None:
        """Write one event and make it last. Never holds a secret. Problem if the disk is full."""
        line = json.dumps({"time": now(), "event": event, **facts}, ensure_ascii=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(handle, f"{line}\n".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise Problem(
                f"{self.path}: cannot be written: {error.strerror}",
                hint="free some disk space, then run: backendai-ctl reconfigure",
            ) from error

    def events(self) -> list[dict[str, Any]]:
        """All events, oldest first; a line cut off by a crash is left out."""
        found = []
        for line in (files.read(self.path) or "").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def finish(self, outcomes: dict[str, Outcome]) -> None:
        """Keep the outcome of a run, unless it is what the last one was."""
        steps = {
            name: {**asdict(outcome), "state": "done" if outcome.ok else outcome.state}
            for name, outcome in outcomes.items()
        }
        for row in steps.values():
            row.pop("seconds")
        if self.last().get("steps") != steps:
            text = json.dumps({"finished": now(), "steps": steps}, indent=1, sort_keys=True)
            files.write(self.result, text + "\n", mode=0o640)
        self._shorten()

    def last(self) -> dict[str, Any]:
        """The outcome of the last run: {"finished": time, "steps": {name: {...}}}; {} if none."""
        try:
            data = json.loads(files.read(self.result) or "{}")
        except ValueError:
            return {}
        if not isinstance(data, dict):
            return {}
        for row in data.get("steps", {}).values():  # release 26.9.6-1 had another word
            row.setdefault("message", row.pop("what", ""))
        return data

    def _shorten(self) -> None:
        lines = (files.read(self.path) or "").splitlines(keepends=True)
        if len(lines) > 2 * KEEP:
            files.write(self.path, "".join(lines[-KEEP:]), mode=0o640)
