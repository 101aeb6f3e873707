from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootstrap.changes import changes
from bootstrap.lock_debian import HOST, SERVICES, SETS, lock_data, newest_entries
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import read_debian_lock

ROOT = Path(__file__).resolve().parents[3]


def test_the_lock_of_the_repository_holds_the_sets_of_the_table() -> None:
    lock = read_debian_lock(ROOT / "packaging/locks/debian.lock")
    sets = {name: list(keys) for name, keys in lock.sets.items()}
    services = sets["services"]
    assert {name: sorted(keys) for name, keys in SETS.items()} | {"services": services} == sets
    assert {f"trixie/{name}" for name in SERVICES} <= set(services)
    assert set(lock.packages) == {key for keys in sets.values() for key in keys}
    assert lock_data(dict(lock.packages), sets)["packages"].keys() == lock.packages.keys()


def test_a_host_under_test_has_what_the_services_are_locked_beyond() -> None:
    text = (ROOT / "tests/hosts/roots.py").read_text("utf-8")
    base = re.search(r"^BASE = \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
    assert base and re.findall(r'"([^"]+)"', base[1]) == HOST


def test_a_package_that_debian_lacks_is_named() -> None:
    with pytest.raises(Failure, match="Debian bullseye has no package"):
        newest_entries({"bullseye": {}, "trixie": {}}, SETS)


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
