from __future__ import annotations

import json
from pathlib import Path

import pytest

from bootstrap import setup
from bootstrap.cache import Cache
from bootstrap.declared import images, servers
from bootstrap.setup import LOCKS, Ready, debs_of_a_build, set_up, stamp_path, warm
from releasekit.errors import Failure
from releasekit.locks import DebianLock, image_set, read_debian_lock, read_tools_lock

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "packaging/locks").mkdir(parents=True)
    for name in LOCKS:
        (folder / "packaging/locks" / name).write_text(name)
    return folder


@pytest.fixture
def stamped(cache: Cache, root: Path, tmp_path: Path) -> Path:
    """A finished set-up of one program and one file; its stamp."""
    program = tmp_path / "program"
    program.touch()
    (cache.root / "files/abc").mkdir(parents=True)
    (cache.root / "files/abc/a.whl").touch()
    path = stamp_path(cache.root, root)
    path.parent.mkdir()
    stamp = {"paths": {"pants": str(program)}, "drift": [], "files": ["abc/a.whl"]}
    path.write_text(json.dumps(stamp))
    return path


def test_a_finished_set_up_is_found(cache: Cache, root: Path, stamped: Path) -> None:
    found = warm(cache.root, root)
    assert found is not None
    assert found.paths["pants"].endswith("/program")


@pytest.mark.parametrize("missing", ["program", "cache/files/abc/a.whl"])
def test_it_is_not_when_something_was_removed(
    cache: Cache, root: Path, stamped: Path, tmp_path: Path, missing: str
) -> None:
    (tmp_path / missing).unlink()
    assert warm(cache.root, root) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"paths": []}', '{"paths": {}, "files": 1}'])
def test_a_damaged_stamp_counts_as_none(cache: Cache, root: Path, stamped: Path, text: str) -> None:
    stamped.write_text(text)
    assert warm(cache.root, root) is None


@pytest.mark.parametrize("name", LOCKS)
def test_a_changed_lock_asks_for_a_set_up(
    cache: Cache, root: Path, stamped: Path, name: str
) -> None:
    (root / "packaging/locks" / name).write_text("changed")
    assert warm(cache.root, root) is None


def test_the_kind_of_python_39_is_part_of_the_stamp(
    cache: Cache, root: Path, stamped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKENDAI_PYTHON39", "assembled")
    assert warm(cache.root, root) is None


def test_a_set_up_fetches_what_servers_and_images_are_made_of() -> None:
    lock = read_debian_lock(ROOT / "packaging/locks/debian.lock")
    debs = debs_of_a_build(lock, ROOT)
    of_images = [image_set(image.name) for image in images(ROOT)]
    for name in ("python3.13", *servers(ROOT), *of_images):
        assert lock.of(name).items() <= debs.items(), name


def test_a_set_up_fetches_the_distributions_of_images(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKENDAI_CACHE", str(cache.root))
    wanted = {item.entry.sha256 for item in setup._Work(ROOT, frozen=True)._wheels()}
    groups = read_tools_lock(ROOT / "packaging/locks/images.lock").groups
    for group in groups.values():
        assert {entry.sha256 for entry in group.packages.values()} <= wanted


def test_a_server_or_image_that_is_not_in_the_lock_is_named_with_the_cure() -> None:
    without: dict[str, tuple[str, ...]] = {"pip": (), "node-licences": ()}
    for missing in ("docker", "image-base"):
        with pytest.raises(Failure, match=f"no set '{missing}'") as caught:
            debs_of_a_build(DebianLock(without, {}), ROOT)
        assert caught.value.hint == "run scripts/lock-debian"
        without.update({name: () for name in servers(ROOT)})


class _FakeWork:
    """Stands in for the real work; fails the first `failures` times."""

    failures = 0
    runs = 0

    def __init__(self, root: Path, frozen: bool) -> None:
        pass

    def run(self) -> Ready:
        type(self).runs += 1
        if type(self).runs <= self.failures:
            raise Failure("network down")
        return Ready({}, ())


@pytest.fixture
def work(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> type[_FakeWork]:
    class Work(_FakeWork):
        pass

    monkeypatch.setenv("BACKENDAI_CACHE", str(cache.root))
    monkeypatch.setattr(setup, "_Work", Work)
    return Work


def test_an_interrupted_set_up_leaves_no_stamp_and_resumes(
    cache: Cache, root: Path, work: type[_FakeWork]
) -> None:
    work.failures = 1
    with pytest.raises(Failure, match="network down"):
        set_up(root, frozen=False)
    assert not stamp_path(cache.root, root).exists()
    assert not cache.tmp.exists()
    set_up(root, frozen=False)
    assert work.runs == 2


def test_scratch_of_a_killed_set_up_is_removed(
    cache: Cache, root: Path, work: type[_FakeWork]
) -> None:
    (cache.tmp / "half").mkdir(parents=True)
    set_up(root, frozen=False)
    assert not cache.tmp.exists()


def test_who_waited_for_another_set_up_does_not_repeat_it(
    root: Path, stamped: Path, work: type[_FakeWork]
) -> None:
    set_up(root, frozen=False)
    assert work.runs == 0


def test_frozen_does_not_accept_a_set_up_that_drifted(
    root: Path, stamped: Path, work: type[_FakeWork]
) -> None:
    stamp = json.loads(stamped.read_text())
    stamped.write_text(json.dumps({**stamp, "drift": ["trixie/liba"]}))
    set_up(root, frozen=False)
    assert work.runs == 0
    set_up(root, frozen=True)
    assert work.runs == 1


def test_another_machine_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(Failure, match="this machine is aarch64 Linux"):
        set_up(root, frozen=False)


def test_temporary_files_stay_in_the_cache(
    cache: Cache, root: Path, work: type[_FakeWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import tempfile

    seen: list[str] = []

    def run(self: object) -> Ready:
        seen.extend([tempfile.gettempdir(), os.environ["TMPDIR"]])
        return Ready({}, ())

    monkeypatch.setattr(work, "run", run)
    before = os.environ.get("TMPDIR")
    set_up(root, frozen=False)
    assert seen == [str(cache.tmp)] * 2
    assert os.environ.get("TMPDIR") == before
