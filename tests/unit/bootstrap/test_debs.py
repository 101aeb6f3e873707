from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap import debs, download
from bootstrap.cache import Cache
from bootstrap.debs import ensure_debs, used_debs
from releasekit.errors import Failure
from releasekit.locks import Deb

Publish = Callable[..., Deb]


def gone_from(mirror: Path, deb: Deb) -> None:
    (mirror / deb.path).unlink()


def successor_index(**found: Deb) -> Callable[[str], dict[str, Deb]]:
    return lambda suite: {name.replace("_", "-"): deb for name, deb in found.items()}


def test_packages_come_from_the_mirror_of_their_archive(cache: Cache, publish: Publish) -> None:
    wanted = {"trixie/a": publish("a", b"a"), "trixie/b": publish("b", b"b", archive="security")}
    assert ensure_debs(cache, wanted, frozen=True) == wanted
    assert all(cache.store.has(deb) for deb in wanted.values())
    assert used_debs(cache, wanted) == wanted


def test_what_is_there_needs_no_mirror(
    cache: Cache, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"trixie/a": publish("a", b"a")}
    ensure_debs(cache, wanted, frozen=False)
    monkeypatch.setattr(debs, "find_mirrors", lambda: pytest.fail("asked for a mirror"))
    ensure_debs(cache, wanted, frozen=False)


def test_the_vendor_folder_comes_before_the_mirror(
    cache: Cache, publish: Publish, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deb, other = publish("a", b"a"), publish("b", b"b")
    gone_from(mirror, deb)
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / deb.filename).write_bytes(b"a")
    (vendor / other.filename).write_bytes(b"wrong content is passed over")
    monkeypatch.setenv("BACKENDAI_VENDOR", str(vendor))
    ensure_debs(cache, {"trixie/a": deb, "trixie/b": other}, frozen=True)
    assert cache.store.has(deb)
    assert cache.store.path(other).read_bytes() == b"b"


def test_a_vendor_folder_that_is_not_there_is_a_clear_error(
    cache: Cache, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKENDAI_VENDOR", "/no/such")
    with pytest.raises(Failure, match="BACKENDAI_VENDOR=/no/such is not a folder"):
        ensure_debs(cache, {"trixie/a": publish("a", b"a")}, frozen=True)


def test_a_wrong_hash_is_refused_and_not_kept(cache: Cache, publish: Publish, mirror: Path) -> None:
    deb = publish("a", b"good")
    (mirror / deb.path).write_bytes(b"evil")
    with pytest.raises(Failure, match=r"a_1_amd64\.deb: sha256 is .*, the lock says"):
        ensure_debs(cache, {"trixie/a": deb}, frozen=False)
    assert not cache.store.has(deb)


def test_drift_takes_the_successor_loudly_and_records_it(
    cache: Cache, publish: Publish, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked, kept = publish("liba", b"old"), publish("libb", b"b")
    gone_from(mirror, locked)
    newer = publish("liba", b"new", version="2")
    wanted = {"trixie/liba": locked, "trixie/libb": kept}
    used = ensure_debs(cache, wanted, frozen=False, newest=successor_index(liba=newer))
    assert used == {"trixie/liba": newer, "trixie/libb": kept}
    assert used_debs(cache, wanted) == used
    shown = capsys.readouterr().err
    assert "DRIFT" in shown
    assert "trixie/liba: 1 -> 2" in shown
    record = json.loads((cache.drift / f"{locked.sha256}.json").read_text())
    assert (record["locked"]["version"], record["used"]["sha256"]) == ("1", newer.sha256)


def test_drift_is_taken_from_the_record_the_next_time(
    cache: Cache, publish: Publish, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = publish("liba", b"old")
    gone_from(mirror, locked)
    newer = publish("liba", b"new", version="2")
    wanted = {"trixie/liba": locked}
    ensure_debs(cache, wanted, frozen=False, newest=successor_index(liba=newer))
    monkeypatch.setattr(debs, "find_mirrors", lambda: pytest.fail("asked for a mirror"))
    assert ensure_debs(cache, wanted, frozen=False) == {"trixie/liba": newer}


@pytest.mark.parametrize("recorded", [False, True])
def test_frozen_refuses_drift(cache: Cache, publish: Publish, mirror: Path, recorded: bool) -> None:
    locked = publish("liba", b"old")
    gone_from(mirror, locked)
    index = successor_index(liba=publish("liba", b"new", version="2"))
    if recorded:
        ensure_debs(cache, {"trixie/liba": locked}, frozen=False, newest=index)
    with pytest.raises(Failure, match="left the mirror: trixie/liba 1") as caught:
        ensure_debs(cache, {"trixie/liba": locked}, frozen=True, newest=index)
    assert "--frozen" in caught.value.hint


def test_drift_without_successor_is_a_clear_error(
    cache: Cache, publish: Publish, mirror: Path
) -> None:
    locked = publish("liba", b"old")
    gone_from(mirror, locked)
    for index in (successor_index(), successor_index(liba=locked)):
        with pytest.raises(Failure, match="Debian trixie has no other"):
            ensure_debs(cache, {"trixie/liba": locked}, frozen=False, newest=index)


def test_an_index_ahead_of_its_mirror_is_a_clear_error(
    cache: Cache, publish: Publish, mirror: Path
) -> None:
    locked, newer = publish("liba", b"old"), publish("liba", b"new", version="2")
    gone_from(mirror, locked)
    gone_from(mirror, newer)
    with pytest.raises(Failure, match="in the mirror's index but not on it"):
        ensure_debs(
            cache, {"trixie/liba": locked}, frozen=False, newest=successor_index(liba=newer)
        )
    assert not cache.drift.exists()


def test_what_was_fetched_before_an_error_is_kept(
    cache: Cache, publish: Publish, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debs, "_AT_ONCE", 1)
    good, bad = publish("a", b"a"), publish("b", b"b")
    wrong = replace(bad, sha256="0" * 64)
    with pytest.raises(Failure):
        ensure_debs(cache, {"trixie/a": good, "trixie/b": wrong}, frozen=True)
    assert cache.store.has(good)
    gone_from(mirror, good)  # only what is missing is asked for
    ensure_debs(cache, {"trixie/a": good, "trixie/b": bad}, frozen=True)


def test_without_a_mirror_the_error_names_the_cure(
    cache: Cache, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"trixie/a": publish("a", b"a")}
    monkeypatch.setenv("BACKENDAI_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
    monkeypatch.setattr(download, "RETRIES", 1)
    with pytest.raises(Failure, match="could not fetch http://127") as caught:
        ensure_debs(cache, wanted, frozen=False)
    assert "BACKENDAI_DEBIAN_MIRROR" in caught.value.hint
    assert not list(cache.store.root.rglob("*.deb"))
