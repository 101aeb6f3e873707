"""What an image adds to the one below it is locked; versions of that one, and what is kept, stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bootstrap import lock_images
from bootstrap.cache import Cache
from bootstrap.declared import Image, images
from bootstrap.lock_images import lock_data, main, resolve_images
from releasekit.files import Entry
from releasekit.locks import canonical, read_tools_lock, write_lock

ROOT = Path(__file__).resolve().parents[3]
Found = Mapping[str, Entry]
Asked = list[tuple[list[str], dict[str, str]]]

NEEDS = {"a": ["common"], "b": ["common", "deep"], "c": []}


def entry(version: str) -> Entry:
    return Entry(version, "f.whl", "0" * 64, 1)


@pytest.fixture
def asked() -> Asked:
    """What was resolved: requirements, and what kept its version."""
    return []


@pytest.fixture
def resolved(asked: Asked) -> Callable[[Sequence[str], Found, Found], Found]:
    """Stands in for pip on an index where all is at version 2."""

    def found(roots: Sequence[str], kept: Found, held: Found) -> Found:
        kept = {**kept, **held}
        asked.append((list(roots), {name: one.version for name, one in kept.items()}))
        names = sorted({*roots, *(need for root in roots for need in NEEDS[root])}, reverse=True)
        return {name: kept.get(name, entry("2")) for name in names}

    return found


WANTED = [
    Image("low", "", ("bash",), ("a",)),
    Image("tools", "low", ("git",), ()),
    Image("high", "tools", (), ("b",)),
    Image("other", "", (), ("b",)),
]


def versions(groups: Mapping[str, Found]) -> dict[str, dict[str, str]]:
    return {
        image: {name: one.version for name, one in found.items()} for image, found in groups.items()
    }


def test_an_image_holds_what_it_adds_to_the_one_below_it(
    resolved: Callable[..., Any], asked: Asked
) -> None:
    found = resolve_images(WANTED, resolved, {})
    assert versions(found) == {
        "low": {"a": "2", "common": "2"},
        "tools": {},
        "high": {"b": "2", "deep": "2"},
        "other": {"b": "2", "common": "2", "deep": "2"},
    }
    assert list(found["high"]) == ["b", "deep"], "by name, whatever pip's order"
    # All at once, so that they fit each other; nothing where an image asks for nothing.
    assert [roots for roots, _ in asked] == [["a"], ["a", "b"], ["b"]]


def test_an_image_takes_the_versions_of_the_one_below_it(
    resolved: Callable[..., Any], asked: Asked
) -> None:
    old = {"low": {"common": entry("1")}, "high": {"common": entry("0"), "deep": entry("1")}}
    found = resolve_images(WANTED, resolved, old)
    assert asked[1] == (["a", "b"], {"a": "2", "common": "1", "deep": "1"})
    assert versions(found)["high"] == {"b": "2", "deep": "1"}
    assert versions(found)["other"]["common"] == "2", "what is kept is kept for its image"


def test_the_lock_is_read_as_it_was_written(resolved: Callable[..., Any], tmp_path: Path) -> None:
    found = resolve_images(WANTED, resolved, {})
    path = tmp_path / "images.lock"
    write_lock(path, lock_data(found))
    groups = read_tools_lock(path).groups
    assert {name: group.packages for name, group in groups.items()} == found
    assert {group.python for group in groups.values()} == {"3.13"}
    assert path.read_text().startswith('{\n "about": "Distributions in images of sessions')


def test_the_lock_of_the_repository_holds_what_images_ask_for() -> None:
    groups = read_tools_lock(ROOT / "packaging/locks/images.lock").groups
    wanted = images(ROOT)
    assert set(groups) == {image.name for image in wanted}, "run scripts/lock-images"
    held: dict[str, set[str]] = {"": set()}
    for image in wanted:
        below, own = held[image.base], set(groups[image.name].packages)
        assert not below & own, f"{image.name} holds what {image.base} has"
        held[image.name] = below | own
        missing = {canonical(name) for name in image.distributions} - held[image.name]
        assert not missing, f"{image.name}: run scripts/lock-images"
        assert image.distributions or not own, f"{image.name}: run scripts/lock-images"


@pytest.fixture
def checkout(tmp_path: Path, cache: Cache, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one image, whose lock has `common` at version 1; pip is not asked."""
    root = tmp_path / "checkout"
    (root / "packaging/images/one").mkdir(parents=True)
    (root / "packaging/images/one/BUILD").write_text(
        'session_image(name="one", distributions=["a"])\n'
    )
    (root / "packaging/locks").mkdir()
    write_lock(
        root / "packaging/locks/images.lock",
        lock_data({"one": {"common": entry("1"), "gone": entry("1")}}),
    )

    class Interpreters:
        def __init__(self, *given: object) -> None:
            pass

        def pip(self, python: str) -> str:
            return python

    def resolve(pip: str, python: str, roots: Sequence[str], *, kept: Found, held: Found) -> Found:
        assert held == {}, "it is based on none"
        asked.append((list(roots), {name: one.version for name, one in kept.items()}))
        return {name: kept.get(name, entry("2")) for name in ("a", "common")}

    def fetch_sizes(cache: Cache, pip: str, items: list[Entry], python: str) -> Found:
        return dict(zip(("a", "common"), items, strict=True))

    monkeypatch.setattr(lock_images, "default_cache", lambda: cache)
    monkeypatch.setattr(lock_images, "Interpreters", Interpreters)
    monkeypatch.setattr(lock_images, "resolve", resolve)
    monkeypatch.setattr(lock_images, "fetch_sizes", fetch_sizes)
    return root


@pytest.mark.parametrize(("words", "common"), [([], "1"), (["--newest"], "2")])
def test_the_command_renews_the_lock_and_tells_what_changed(
    checkout: Path, asked: Asked, words: list[str], common: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(checkout, words) == 0
    lock = json.loads((checkout / "packaging/locks/images.lock").read_text())
    found = lock["groups"]["one"]["packages"]
    assert {name: row["version"] for name, row in found.items()} == {"a": "2", "common": common}
    assert asked == [(["a"], {} if words else {"common": "1", "gone": "1"})]
    said = capsys.readouterr().out
    assert "one: a 2 (new)" in said and "one: gone 1 (gone)" in said
    assert ("one: common 1 -> 2" in said) == (common == "2")


def test_the_first_lock_needs_no_other(checkout: Path) -> None:
    (checkout / "packaging/locks/images.lock").unlink()
    assert main(checkout, []) == 0
    assert read_tools_lock(checkout / "packaging/locks/images.lock").groups["one"].packages
