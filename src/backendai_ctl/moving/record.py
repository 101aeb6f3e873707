"""How far a move is: for the next run, should one be cut off, and for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files
from backendai_ctl.platform.clock import now

FOUND = "found"  # there is something to move; nothing was stopped
MOVING = "moving"  # the site's own servers hold copies in part, to be made anew
MOVED = "moved"  # all is copied and checked: the old servers are to be stopped
DONE = "done"


@dataclass(frozen=True)
class Record:
    """`servers`: HOST:PORT of each old server, by the name of ours.

    `stopped`: the services that ran, and what their ready flags held. `dumps`: file of each database.
    `kept`: why an old server was left running. `state`: one of the words above; empty: no move.
    """

    state: str = ""
    servers: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    dumps: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    time: str = ""


def path(ctx: Context) -> Path:
    return ctx.paths.ctl / "moved.json"


def read(ctx: Context) -> Record:
    """The record; an empty one if there is none."""
    try:
        return Record(**json.loads(files.read(path(ctx)) or "{}"))
    except (ValueError, TypeError) as error:
        raise Problem(
            f"{path(ctx)}: {error}", hint=f"look at it, then remove it: rm {path(ctx)}"
        ) from error


def note(ctx: Context, **changes: Any) -> Record:
    """Change the record and make it last; what it is now. Never holds a secret."""
    made = replace(read(ctx), **changes, time=now())
    files.write(path(ctx), json.dumps(asdict(made), indent=1) + "\n", mode=0o640)
    return made
