from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bootstrap import lock_debian
from bootstrap.cache import Cache
from bootstrap.changes import changes
from bootstrap.declared import Image, images
from bootstrap.lock_debian import (
    IMAGES_SUITE,
    SETS,
    image_sets,
    lock_data,
    main,
    newest_entries,
    server_sets,
)
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import Deb, image_set, read_debian_lock, write_lock

ROOT = Path(__file__).resolve().parents[3]


def test_the_lock_of_the_repository_holds_the_sets_of_table_and_servers() -> None:
    lock = read_debian_lock(ROOT / "packaging/locks/debian.lock")
    sets = {name: list(keys) for name, keys in lock.sets.items()}
    servers, of_images = server_sets(ROOT), {image_set(image.name) for image in images(ROOT)}
    wanted = {name: sorted(keys) for name, keys in (*SETS.items(), *servers.items())}
    others = {name: keys for name, keys in sets.items() if name not in of_images}
    assert others == wanted, "run scripts/lock-debian"
    assert len(wanted) == len(SETS) + len(servers), "a server has the name of another set"
    assert not of_images & set(wanted), "a server or set has the name of an image's"
    assert set(lock.packages) == {key for keys in sets.values() for key in keys}
    assert lock_data(dict(lock.packages), sets)["packages"].keys() == lock.packages.keys()


def test_the_lock_of_the_repository_holds_what_images_ask_for() -> None:
    """What else is in their sets, a build holds against what each package depends on."""
    lock = read_debian_lock(ROOT / "packaging/locks/debian.lock")
    held: dict[str, set[str]] = {"": set()}
    for image in images(ROOT):
        assert image_set(image.name) in lock.sets, f"{image.name}: run scripts/lock-debian"
        below, own = held[image.base], set(lock.sets[image_set(image.name)])
        assert not below & own, f"{image.name} holds what {image.base} has"
        held[image.name] = below | own
        missing = {f"{IMAGES_SUITE}/{name}" for name in image.debian} - held[image.name]
        assert not missing, f"{image.name}: run scripts/lock-debian"


NEEDS = {"bash": ["libc6", "libtinfo6"], "git": ["libc6", "libcurl"], "libc6": [], "curl": []}


def closure(names: Sequence[str]) -> list[str]:
    """As apt's: what packages need, with them. `curl` is content with the libcurl of git."""
    found = {*names, *(need for name in names for need in NEEDS[name])}
    return sorted(found | {"libcurl"} if "curl" in found else found)


def test_an_image_holds_what_it_adds_to_the_one_below_it() -> None:
    wanted = [
        Image("low", "", ("bash",), ()),
        Image("empty", "low", (), ("a",)),
        Image("high", "empty", ("git", "libc6"), ()),
        Image("top", "high", ("curl",), ()),
        Image("other", "", ("git",), ()),
    ]
    assert image_sets(wanted, closure) == {
        "image-low": ["trixie/bash", "trixie/libc6", "trixie/libtinfo6"],
        "image-empty": [],
        "image-high": ["trixie/git", "trixie/libcurl"],
        "image-top": ["trixie/curl"],
        "image-other": ["trixie/git", "trixie/libc6", "trixie/libcurl"],
    }


def test_what_an_image_asks_for_is_chosen_with_what_is_below_it() -> None:
    asked = []

    def noted(names: Sequence[str]) -> list[str]:
        asked.append(list(names))
        return closure(names)

    image_sets([Image("low", "", ("bash",), ()), Image("high", "low", ("git",), ())], noted)
    assert asked == [["bash"], ["bash", "git"]], "so that its alternatives are those of the base"


def deb(version: str) -> Deb:
    return Deb(version, "x.deb", "0" * 64, 1, suite="trixie", path="pool/x.deb", source="x")


def test_what_is_kept_is_not_looked_for() -> None:
    indexes = {"trixie": {"a": deb("2"), "b": deb("2")}}
    sets = {"one": ["trixie/a", "trixie/gone"], "two": ["trixie/b"]}
    kept = {"trixie/a": deb("1"), "trixie/gone": deb("1"), "trixie/unwanted": deb("1")}
    found = newest_entries(indexes, sets, kept)
    assert {key: entry.version for key, entry in found.items()} == {
        "trixie/a": "1",
        "trixie/b": "2",
        "trixie/gone": "1",
    }
    with pytest.raises(Failure, match="Debian trixie has no package gone"):
        newest_entries(indexes, sets)


class FakeApt:
    """Every package of Debian is at version 2."""

    def __init__(self, suite: str, folder: Path, mirrors: object) -> None:
        self.suite = suite

    def update(self) -> None:
        pass

    def newest(self) -> dict[str, Deb]:
        return {name: deb("2") for name in ("a", "bash", "libc6", "libtinfo6")}

    closure = staticmethod(closure)


@pytest.fixture
def checkout(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a set, an image, and a lock of version 1; neither apt nor a mirror is asked."""
    root = tmp_path / "checkout"
    (root / "packaging/images/low").mkdir(parents=True)
    (root / "packaging/images/low/BUILD").write_text('session_image(name="low", debian=["bash"])\n')
    old = {key: deb("1") for key in ("trixie/a", "trixie/libc6", "trixie/gone")}
    (root / "packaging/locks").mkdir()
    write_lock(root / "packaging/locks/debian.lock", lock_data(old, {"old": list(old)}))
    monkeypatch.setattr(lock_debian, "SETS", {"one": ["trixie/a"]})
    monkeypatch.setattr(lock_debian, "PrivateApt", FakeApt)
    monkeypatch.setattr(lock_debian, "default_cache", lambda: cache)
    monkeypatch.setattr(lock_debian, "find_mirrors", lambda: None)
    monkeypatch.setattr(lock_debian, "ensure_debs", lambda cache, debs, frozen: debs)
    return root


@pytest.mark.parametrize(("words", "old"), [([], "1"), (["--newest"], "2")])
def test_the_command_keeps_what_is_locked_where_it_is_asked_to(
    checkout: Path, words: list[str], old: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(checkout, words) == 0
    lock = json.loads((checkout / "packaging/locks/debian.lock").read_text())
    assert lock["sets"] == {
        "image-low": ["trixie/bash", "trixie/libc6", "trixie/libtinfo6"],
        "one": ["trixie/a"],
    }
    assert {key: row["version"] for key, row in lock["packages"].items()} == {
        "trixie/a": old,
        "trixie/bash": "2",
        "trixie/libc6": old,
        "trixie/libtinfo6": "2",
    }
    said = capsys.readouterr().out
    assert "trixie/bash 2 (new)" in said and "trixie/gone 1 (gone)" in said
    assert ("trixie/a 1 -> 2" in said) == bool(words)


def test_servers_are_made_of_the_debian_whose_libraries_the_runtime_has() -> None:
    suites = {key.split("/")[0] for key in SETS["python3.13"]}
    assert suites == {key.split("/")[0] for keys in server_sets(ROOT).values() for key in keys}


def test_no_server_is_made_of_a_package_that_the_runtime_has() -> None:
    runtime = set(SETS["python3.13"]) - {"trixie/gcc-14-base"}  # licences, for whoever needs them
    found = {name: sorted(runtime & set(keys)) for name, keys in server_sets(ROOT).items()}
    assert not any(found.values()), found


def test_a_package_that_debian_lacks_is_named_with_where_it_is_asked_for() -> None:
    with pytest.raises(Failure, match="Debian bullseye has no package") as caught:
        newest_entries({"bullseye": {}, "trixie": {}}, SETS)
    assert "BUILD file of a server or an image" in str(caught.value.hint)


def test_the_summary_tells_what_changed() -> None:
    def entry(version: str, name: str = "f", digit: str = "0") -> Entry:
        return Entry(version, name, digit * 64, 1)

    old = {"same": entry("1"), "up": entry("1"), "out": entry("1"), "file": entry("1")}
    new = {"same": entry("1"), "up": entry("2"), "in": entry("3"), "file": entry("1", "g", "1")}
    assert changes(old, new) == [
        "file 1: another file, g",
        "in 3 (new)",
        "out 1 (gone)",
        "up 1 -> 2",
    ]
