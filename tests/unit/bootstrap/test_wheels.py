from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import wheels
from bootstrap.cache import Cache
from bootstrap.pip import Pip
from bootstrap.wheels import Wanted, ensure_wheels, target_flags
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import PLATFORMS

Entry_ = Callable[..., Entry]


@pytest.fixture
def put(index: Path, entry: Entry_) -> Callable[..., Wanted]:
    """put(name) publishes a wheel on the index and returns what the lock says of it."""

    def publish(name: str, python: str = "3.13", version: str = "1.0") -> Wanted:
        filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        data = f"{name} {version}".encode()
        (index / filename).write_bytes(data)
        return Wanted(name, entry(data, filename, version), python)

    return publish


def fetch(cache: Cache, pip: Pip, *wanted: Wanted) -> list[float]:
    pauses: list[float] = []
    ensure_wheels(cache, pip, wanted, sleep=pauses.append)
    return pauses


def calls(index: Path) -> list[str]:
    path = index / "calls"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_wheels_are_fetched_once(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    wanted = [put("a-x"), put("b"), put("c", "3.9")]
    fetch(cache, pip, *wanted, wanted[0])
    assert all(cache.store.has(item.entry) for item in wanted)
    assert calls(index) == ["a-x b", "c"]  # one call for each Python
    fetch(cache, pip, *wanted)
    assert len(calls(index)) == 2


def test_many_wheels_go_in_shards(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    fetch(cache, pip, *(put(f"p{number:02}") for number in range(25)))
    assert [len(line.split()) for line in calls(index)] in ([8, 8, 9], [8, 9, 8], [9, 8, 8])


def test_two_versions_of_a_distribution_are_asked_for_in_turn(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    """An image holds a version of its own, and pip refuses to fetch both at once."""
    wanted = [put("a"), put("b"), put("a", version="2.0")]
    fetch(cache, pip, *wanted)
    assert all(cache.store.has(item.entry) for item in wanted)
    assert calls(index) == ["a", "a b"]


def test_a_later_run_fetches_only_what_is_missing(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    first, second = put("a"), put("b")
    (index / second.entry.filename).unlink()
    with pytest.raises(Failure, match=second.entry.filename):
        fetch(cache, pip, first, second)
    (index / "calls").unlink()
    put("b")
    fetch(cache, pip, first, second)
    assert calls(index) == ["b"]


def test_an_altered_wheel_never_enters(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    wanted = put("a")
    (index / wanted.entry.filename).write_bytes(b"X")
    with pytest.raises(Failure, match="the lock says"):
        fetch(cache, pip, wanted)
    assert not list(cache.store.root.rglob("*.whl"))


def test_passing_trouble_is_tried_again(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    (index / "fail-once").write_text("ReadTimeoutError")
    wanted = put("a")
    assert len(fetch(cache, pip, wanted)) == 1
    assert cache.store.has(wanted.entry)


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("NewConnectionError\nERROR: No matching distribution", "index cannot be reached: a-1.0"),
        ("ERROR: No matching distribution found", "does not have, or cannot be asked for"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "not the locked one"),
        ("Traceback\nERROR: something else", "pip could not fetch a-1.0"),
    ],
)
def test_trouble_of_pip_becomes_one_clear_error(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted], output: str, what: str
) -> None:
    (index / "fail-always").write_text(f"WARNING: chatter\n{output}")
    with pytest.raises(Failure, match=what) as caught:
        fetch(cache, pip, put("a"))
    assert caught.value.hint
    assert "chatter" not in caught.value.what


def test_chatter_of_pip_reaches_nobody_when_all_is_well(
    cache: Cache, pip: Pip, put: Callable[..., Wanted], capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(cache, pip, put("a"))
    assert capfd.readouterr().err == "  wheels 1/1, 0 of 0 MB\n"


def test_a_full_disk_is_told_as_such(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    (index / "fail-always").write_text("OSError: [Errno 28] No space left on device")
    with pytest.raises(OSError, match="No space left"):
        fetch(cache, pip, put("a"))


def test_the_vendor_folder_needs_no_index(
    cache: Cache,
    pip: Pip,
    index: Path,
    put: Callable[..., Wanted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKENDAI_VENDOR", str(index))
    wanted = put("a")
    fetch(cache, pip, wanted)
    assert cache.store.has(wanted.entry)
    assert calls(index) == []


def test_the_platform_is_never_the_host(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    fetch(cache, pip, put("a"))
    argv = (index / "argv").read_text().splitlines()
    assert set(target_flags("3.13")) <= set(argv)
    assert "--require-hashes" in argv
    assert "--platform=manylinux_2_28_x86_64" in argv
    assert not [p for p in PLATFORMS if p.startswith("manylinux_2_29") or p == "linux_x86_64"]


def test_nothing_is_left_in_the_scratch_folder(
    cache: Cache, pip: Pip, index: Path, put: Callable[..., Wanted]
) -> None:
    (index / "fail-always").write_text("x")
    with pytest.raises(Failure):
        fetch(cache, pip, put("a"))
    assert list(cache.tmp.iterdir()) == []
    assert wheels.missing_wheels(cache, [put("a")])
