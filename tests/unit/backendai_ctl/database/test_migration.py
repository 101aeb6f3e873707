"""What killed and failed runs leave on the disk goes before it can fill it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from backendai_ctl.context import Context
from backendai_ctl.database import dumps, migration
from backendai_ctl.database.connection import Connection
from backendai_ctl.database.databases import MANAGER, Target
from backendai_ctl.database.programs import Programs
from backendai_ctl.database.revisions import Revisions
from backendai_ctl.database.service import Service
from backendai_ctl.site.schema import Database, Site


@contextmanager
def connected(target: Target) -> Iterator[Target]:
    yield target


def test_whoever_has_the_lock_finds_no_half_dump(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = ctx.paths.backups / "a-to-b-manager-20260101T000000Z.dump.partial"
    half.parent.mkdir(parents=True)
    half.touch()
    monkeypatch.setattr(migration, "connect", connected)
    monkeypatch.setattr(migration, "lock", lambda _: half.stat())  # not before it has the lock
    with migration.locked(Target(ctx, MANAGER)):
        assert not half.exists()


def test_every_dump_makes_old_ones_go(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only those of migrations that succeed."""
    few = Context(ctx.facts, Site(database=Database(keep_dumps=2)))
    old = [ctx.paths.backups / f"a-to-b-manager-2026010{n}T000000Z.dump" for n in range(1, 4)]
    made = ctx.paths.backups / "a-to-b-manager-20260104T000000Z.dump"
    ctx.paths.backups.mkdir(parents=True)
    for path in old:
        path.touch()
    monkeypatch.setattr(dumps, "make", lambda _, path: path.touch())
    run = migration.Migration(cast(Connection, None), cast(Revisions, None), Service(few, MANAGER))
    run._dump(Programs(Target(few, MANAGER), Path("/nonexistent"), ("127.0.0.1", 5432)), made)
    assert sorted(ctx.paths.backups.iterdir()) == [old[-1], made]
