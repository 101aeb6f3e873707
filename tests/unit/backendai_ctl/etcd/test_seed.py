"""Promises of seeding: your edits win, one transaction, and back again."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from fake_etcd import Dies, FakeEtcd

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.etcd import access, export, seed, settings

PREFIX = "/sorna/local/"
INFO = "volumes/exposed_volume_info"
HOST = "volumes/default_host"


def now(etcd: FakeEtcd) -> dict[str, str]:
    return etcd.values(PREFIX)


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is shipped, for tests to change."""
    values = {"a": "1", "b": "1", "c": "1", "x/password": "hush"}
    monkeypatch.setattr(settings, "wanted", lambda _ctx: dict(values))
    return values


def test_the_first_run_writes_all_settings(there: Context, etcd: FakeEtcd) -> None:
    seed.seed(there)
    assert now(etcd) == settings.wanted(there)
    assert now(etcd)["config/redis/password"] == there.secrets.get("cache-password")


def test_a_second_run_writes_nothing(there: Context, etcd: FakeEtcd) -> None:
    seed.seed(there)
    before = etcd.revision
    assert not seed.seed(there).needed
    assert etcd.revision == before


def test_a_namespace_of_others_is_left_alone(there: Context, etcd: FakeEtcd) -> None:
    etcd.put("/sorna/other/config/redis/addr", "x")
    etcd.put(PREFIX + "nodes/manager/i-1", "up")
    seed.seed(there)
    seed.undo(there)
    assert etcd.values("/") == {
        "sorna/other/config/redis/addr": "x",
        "sorna/local/nodes/manager/i-1": "up",
    }


def test_edits_and_deletions_survive_new_defaults(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    seed.seed(there)
    etcd.put(PREFIX + "a", "mine")
    etcd.put(PREFIX + "b", None)
    shipped.update(a="2", b="2", c="2", d="2")
    planned = seed.seed(there)
    assert now(etcd) == {"a": "mine", "c": "2", "d": "2", "x/password": "hush"}
    assert planned.merge.kept == {"a": ("mine", "2"), "b": (None, "2")}
    shipped.update(a="3", b="3", c="3")
    seed.seed(there)
    assert now(etcd) == {"a": "mine", "c": "3", "d": "2", "x/password": "hush"}


def test_what_was_there_before_the_first_run_wins(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    etcd.put(PREFIX + "a", "mine")
    seed.seed(there)
    assert now(etcd) == {**shipped, "a": "mine"}


def test_a_key_that_is_shipped_no_more_goes_unless_edited(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    seed.seed(there)
    etcd.put(PREFIX + "b", "mine")
    del shipped["a"], shipped["b"]
    seed.seed(there)
    assert now(etcd) == {**shipped, "b": "mine"}


@pytest.mark.parametrize("mine", ["mine", None])
def test_take_gives_an_edit_up(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str], mine: str | None
) -> None:
    seed.seed(there)
    etcd.put(PREFIX + "a", mine)
    seed.seed(there, ["a"])
    assert now(etcd) == shipped
    with pytest.raises(BadRequest, match="z is not shipped"):
        seed.seed(there, ["z"])


def test_an_edit_between_reading_and_writing_is_not_overwritten(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    seed.seed(there)
    shipped["a"] = "2"
    reads = iter(range(100))

    def edit(method: str) -> None:
        if method == "kv/txn" and next(reads) == 2:  # after base and keys were read
            etcd.put(PREFIX + "a", "mine")

    etcd.mishap = edit
    assert seed.seed(there).merge.kept == {"a": ("mine", "2")}
    assert now(etcd)["a"] == "mine"


def test_endless_edits_by_others_end_as_pending(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    def edit(method: str) -> None:
        etcd.put(PREFIX + "a", str(etcd.revision))

    etcd.mishap = edit
    with pytest.raises(Pending, match="another program writes"):
        seed.seed(there)
    assert "b" not in now(etcd)


def test_undo_restores_and_stays(there: Context, etcd: FakeEtcd, shipped: dict[str, str]) -> None:
    seed.seed(there)
    etcd.put(PREFIX + "b", "mine")
    before = now(etcd)
    shipped.update(a="2", d="2")
    del shipped["c"]
    seed.seed(there)
    undone = seed.undo(there)
    assert now(etcd) == before
    assert set(undone.changes) == {"a", "c", "d"}
    seed.seed(there)  # the next run takes them for your edits
    assert now(etcd) == before
    with pytest.raises(BadRequest, match="not seeded since"):
        seed.undo(there)


def test_undo_keeps_what_was_edited_since(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    seed.seed(there)
    shipped.update(a="2", b="2")
    seed.seed(there)
    etcd.put(PREFIX + "a", "mine")
    assert seed.undo(there).kept == {"a": ("mine", "1")}
    assert now(etcd) == {"a": "mine", "b": "1", "c": "1", "x/password": "hush"}


def test_undo_of_the_first_run_leaves_nothing_and_it_can_be_run_again(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    seed.seed(there)
    seed.undo(there)
    assert etcd.values("/") == {}
    seed.seed(there)
    assert now(etcd) == shipped


def test_forget_removes_ours_and_leaves_yours(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    seed.seed(there)
    etcd.put(PREFIX + "a", "mine")
    seed.forget(there)
    assert etcd.values("/") == {"sorna/local/a": "mine"}


def test_a_copy_is_made_before_a_change_and_five_are_kept(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    etcd.put(PREFIX + "a", "0")
    seed.seed(there)
    (first,) = export.copies(there)
    assert json.loads(first.read_text()) == {PREFIX + "a": "0"}
    assert first.stat().st_mode & 0o777 == 0o600
    for number in range(export.KEEP):
        shipped["b"] = f"again {number}"
        seed.seed(there)
    copies = export.copies(there)
    assert len(copies) == export.KEEP
    assert first not in copies


def test_what_etcd_does_not_hold_afterwards_is_a_fault(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str]
) -> None:
    writes = iter(range(100))

    def edit(method: str) -> None:
        if method == "kv/txn" and next(writes) == 3:  # right after the writing one
            etcd.put(PREFIX + "a", "other")

    etcd.mishap = edit
    with pytest.raises(Problem, match=r"does not hold .*: /sorna/local/a"):
        seed.seed(there)


@pytest.mark.parametrize("at", range(8))
def test_killed_or_cut_off_anywhere_a_second_run_finishes(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str], at: int
) -> None:
    seed.seed(there)
    before = now(etcd)
    shipped.update(a="2", d="2")
    etcd.mishap = Dies(at)
    try:
        seed.seed(there)
    except Pending:
        assert now(etcd) in (before, shipped)  # never half
    etcd.mishap = lambda _: None
    seed.seed(there)
    assert now(etcd) == shipped
    assert seed.flagged(there, access.connect(there))


@pytest.mark.parametrize("which", ["base", "undo"])
@pytest.mark.parametrize("spoilt", ["{", "[]"])
def test_a_record_that_somebody_spoilt_is_named_with_its_cure(
    there: Context, etcd: FakeEtcd, shipped: dict[str, str], which: str, spoilt: str
) -> None:
    seed.seed(there)
    before = now(etcd)
    key = access.own_prefix(there) + which
    etcd.put(key, spoilt)
    with pytest.raises(Problem, match=f"{key} holds no JSON") as caught:
        seed.seed(there) if which == "base" else seed.undo(there)
    assert caught.value.hint.endswith(f"del {key}")
    etcd.put(key, None)
    seed.seed(there)
    assert now(etcd) == before


def test_undo_works_without_a_base(there: Context, etcd: FakeEtcd, shipped: dict[str, str]) -> None:
    seed.seed(there)
    shipped["a"] = "2"
    seed.seed(there)
    etcd.put(access.own_prefix(there) + "base", None)
    seed.undo(there)
    seed.seed(there)
    assert now(etcd)["a"] == "1"


def test_secrets_are_never_shown() -> None:
    pairs: Mapping[str, tuple[str | None, str | None]] = {
        "config/redis/password": ("hush", "hush2"),
        "volumes/proxies/local/secret": (None, "hush"),
        "config/jwt/secret-key": ("hush", None),
        "config/watcher/token": ("hush", "hush2"),
    }
    for key, pair in pairs.items():
        assert "hush" not in seed.difference(key, *pair)
    assert seed.difference("x/secret", "hush", "hush2") == "(secret) -> another (secret)"
    assert seed.difference("a", "", None) == '"" -> (absent)'
