"""Keeping the service of a database down while its schema changes.

The flag that allows its unit to start is emptied, so that neither a boot nor another program starts
it meanwhile; what it held is kept in the record of the change. It is never removed or made here: a
service without a flag counts as new, and new ones are enabled whatever their operator did.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Database
from backendai_ctl.platform import files, systemd


@dataclass(frozen=True)
class Record:
    """What is going on with a database on this host, for the next run and for people.

    `state`: settling, creating, stopping, dumping, migrating, restoring, done or failed. `why`: the
    reason of a failure. `ran`: its unit has to be started again. `mark`: what its ready flag held;
    empty: nothing, or there was none. Records on hosts have that key.
    """

    state: str = "done"
    why: str = ""
    origin: str = ""
    target: str = ""
    dump: str = ""
    ran: bool = False
    mark: str = ""
    time: str = field(default="")


@dataclass(frozen=True)
class Service:
    """The service that uses a database, and the record beside it."""

    ctx: Context
    database: Database

    @property
    def path(self) -> Path:
        return self.ctx.paths.ctl / f"migration-{self.database.name}.json"

    @property
    def unit(self) -> str:
        return self.ctx.facts.components[self.database.component].unit

    def record(self) -> Record:
        """The record; an empty one if there is none."""
        try:
            data = json.loads(files.read(self.path) or "{}")
            return Record(**data)
        except (ValueError, TypeError) as error:
            raise Problem(
                f"{self.path}: {error}", hint=f"look at it, then remove it: rm {self.path}"
            ) from error

    def note(self, **changes: str | bool) -> None:
        """Change the record and make it last. Never holds a secret."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        new = replace(self.record(), **{**changes, "time": time})  # type: ignore[arg-type]
        files.write(self.path, json.dumps(asdict(new), indent=1) + "\n", mode=0o640)

    def stop(self) -> None:
        """Stop the unit and keep it from starting; both are undone by `start`."""
        flag = self._flag()
        held = files.read(flag)
        runs = systemd.booted() and systemd.properties(self.unit, ["ActiveState"]).get(
            "ActiveState"
        ) in ("active", "activating", "reloading")
        known = self.record()
        self.note(ran=runs or known.ran, mark=held or known.mark)
        if held is not None:
            files.write(flag, "", mode=0o600)
        if runs:
            self.ctx.say(f"Stop {self.unit}")
            systemd.systemctl("stop", self.unit)

    def start(self) -> None:
        """Let the unit start again, and start it if it ran."""
        known = self.record()
        if known.mark and self._flag().exists():  # else its package was removed meanwhile
            files.write(self._flag(), known.mark, mode=0o600)
        if known.ran and systemd.booted():
            self.ctx.say(f"Start {self.unit}")
            systemd.systemctl("start", "--no-block", self.unit)
        if known.mark or known.ran:
            self.note(ran=False, mark="")

    def _flag(self) -> Path:
        return self.ctx.paths.ready(self.database.component)
