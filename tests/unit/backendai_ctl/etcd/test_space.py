"""Room in etcd: what a full one needs to take writes again."""

from __future__ import annotations

import pytest
from fake_etcd import FakeEtcd

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.etcd import space, users
from backendai_ctl.etcd.client import Unreachable
from backendai_ctl.site.schema import Etcd, Site

FULL = 4 * 2**30


def test_a_full_one_gets_room_and_no_alarm_is_left(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    etcd.size, etcd.alarms = FULL, ["NOSPACE"]
    (done,) = space.defragment(there)
    assert (done.endpoint, done.before, done.after) == (etcd.endpoint, FULL, etcd.needed)
    assert etcd.alarms == [] and etcd.compacted == etcd.revision
    order = [c for c in etcd.calls if c.startswith(("kv/comp", "maintenance/d", "maintenance/al"))]
    assert order[:3] == ["kv/compaction", "maintenance/defragment", "maintenance/alarm"]


def test_it_may_be_done_twice(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    space.defragment(there)
    assert space.defragment(there)[0].after == etcd.needed


def test_an_alarm_of_another_kind_stays_and_is_told(there: Context, etcd: FakeEtcd) -> None:
    """Whoever clears CORRUPT has the damage served."""
    users.create(there)
    etcd.alarms = ["CORRUPT", "NOSPACE"]
    with pytest.raises(Problem, match="alarm CORRUPT") as told:
        space.defragment(there)
    assert etcd.alarms == ["CORRUPT"] and "doctor" in told.value.hint


def test_one_of_yours_is_left_alone(there: Context, etcd: FakeEtcd) -> None:
    theirs = Etcd(mode="external", endpoints=[etcd.endpoint], user=None)
    with pytest.raises(BadRequest, match="is at 127"):
        space.defragment(Context(there.facts, Site(etcd=theirs)))
    assert etcd.calls == []


def test_one_that_is_down_is_told_with_a_command_of_ours(there: Context, free_port: int) -> None:
    there.site.etcd.endpoints[:] = [f"127.0.0.1:{free_port}"]
    with pytest.raises(Unreachable, match=str(free_port)):
        space.defragment(there)
