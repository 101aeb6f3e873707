"""Keys of etcd: all of ours and nobody else's, the same on both sides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_etcd import FakeEtcd, running

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.moving import etcd as moving
from backendai_ctl.moving.evidence import Former

KEYS = {f"/sorna/local/nodes/{number:03}": f"värde {number}" for number in range(250)}
OURS = {**KEYS, "/backendai-packaged/local/base": "{}", "/sorna/local/empty": ""}


@pytest.fixture
def old(there: Context) -> Iterator[FakeEtcd]:
    with running(FakeEtcd()) as fake:
        for key, value in OURS.items():
            fake.put(key, value)
        root = there.secrets.get("etcd-root-password")
        fake.users = {"root": root, "backendai": "shared by all"}
        fake.grants, fake.auth = {"root": {"root"}}, True
        yield fake


def former(fake: FakeEtcd) -> Former:
    return Former("etcd", "127.0.0.1", fake.port)


def test_every_key_of_ours_is_copied_and_what_a_cut_off_run_left_is_gone(
    there: Context, etcd: FakeEtcd, old: FakeEtcd
) -> None:
    etcd.put("/sorna/local/nodes/stale", "of a run that was cut off")
    etcd.put("/other", "stays")
    assert "252 keys" in moving.copy(there, former(old))
    assert etcd.values("") == {**OURS, "/other": "stays"}
    assert old.values("") == OURS


def test_a_key_that_changes_meanwhile_fails_the_move(
    there: Context, etcd: FakeEtcd, old: FakeEtcd
) -> None:
    etcd.mishap = lambda method: (
        old.put("/sorna/local/late", "x") if method == "kv/deleterange" else None
    )
    with pytest.raises(Problem, match="/sorna/local/late"):
        moving.copy(there, former(old))


@pytest.mark.parametrize("key", ["/sorna/other/key", "/backendai-packaged/other", "a"])
def test_keys_of_others_keep_the_old_one_running(there: Context, old: FakeEtcd, key: str) -> None:
    assert moving.others(there, former(old)) == ""
    old.put(key, "theirs")
    assert key in moving.others(there, former(old))


def test_users_of_others_keep_the_old_one_running(there: Context, old: FakeEtcd) -> None:
    old.users["shop"] = "x"
    assert "shop" in moving.others(there, former(old))


def test_parts_fit_in_transactions_and_miss_nothing() -> None:
    entries = {f"k{number}": "x" * 400_000 for number in range(3)} | KEYS
    made = list(moving.parts(entries))
    assert {key: value for part in made for key, value in part.items()} == entries
    assert all(len(part) <= 100 for part in made)
    assert max(sum(map(len, part.values())) for part in made) < 1_000_000
