from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.changes import changes
from bootstrap.lock_debian import SETS, lock_data, newest_entries, server_sets
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import read_debian_lock

ROOT = Path(__file__).resolve().parents[3]


def test_the_lock_of_the_repository_holds_the_sets_of_table_and_servers() -> None:
    lock = read_debian_lock(ROOT / "packaging/locks/debian.lock")
    sets = {name: list(keys) for name, keys in lock.sets.items()}
    servers = server_sets(ROOT)
    wanted = {name: sorted(keys) for name, keys in (*SETS.items(), *servers.items())}
    assert sets == wanted, "run scripts/lock-debian"
    assert len(wanted) == len(SETS) + len(servers), "a server has the name of another set"
    assert set(lock.packages) == {key for keys in sets.values() for key in keys}
    assert lock_data(dict(lock.packages), sets)["packages"].keys() == lock.packages.keys()


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
    assert "BUILD file of a server" in str(caught.value.hint)


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
