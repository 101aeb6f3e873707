from __future__ import annotations

from typing import Any

from releasekit.closure_report import enterprise_linux, report, text

CLOSURE = {
    "roots": {"db": ["node depends on it"]},
    "bases": {
        "minimal": {
            "about": "least",
            "packages": 80,
            "lacks": ["db", "libdb"],
            "updates": ["libc"],
        },
        "cloud": {"about": "image", "packages": 320, "lacks": ["db"], "updates": []},
    },
    "installed": {"db": 4_000_000, "libdb": 1_000_000, "libc": 5},
}
ENTRIES = {
    name: {"version": "1.0", "size": size, "filename": f"{name}_1.0_amd64.deb"}
    for name, size in (("db", 2_000_000), ("libdb", 500_000), ("libc", 3))
}
TABLE: dict[str, Any] = {
    "base": [{"name": "bash", "why": "scripts"}],
    "packages": {"db-server": {"why": "the database", "source": "AppStream"}},
}


def made() -> dict[str, Any]:
    asked = [
        ("node", "recommends", "db-server"),
        ("all", "depends", "db-server"),
        ("x", "suggests", "y"),
    ]
    el = enterprise_linux(TABLE, asked)
    return report(release="1.0-1", suite="trixie", closure=CLOSURE, entries=ENTRIES, el=el)


def test_each_base_tells_what_it_lacks_and_what_that_takes() -> None:
    bases = made()["bases"]
    assert [row["name"] for row in bases["minimal"]["lacks"]] == ["db", "libdb"]
    assert (bases["minimal"]["download"], bases["minimal"]["installed"]) == (2_500_000, 5_000_000)
    assert bases["minimal"]["updates"][0]["name"] == "libc"
    assert bases["cloud"]["has"] == ["libc", "libdb"]


def test_a_package_of_enterprise_linux_has_its_strongest_need_and_all_who_ask() -> None:
    rows = made()["el"]["packages"]
    assert [(row["name"], row["need"]) for row in rows] == [
        ("db-server", "required"),
        ("y", "suggested"),
        ("bash", "of every installation"),
    ]
    assert rows[0]["needed_by"] == ["all", "node"]
    assert (rows[0]["why"], rows[0]["source"]) == ("the database", "AppStream")


def test_the_text_says_the_same() -> None:
    said = text(made())
    assert "Base minimal: least (80 packages)" in said
    assert "lacks 2 packages: 2.5 MB to install, 5.0 MB installed" in said
    assert "updated if older than the release's: libc" in said
    assert "db-server: required (all, node)" in said
    assert all(len(line) <= 110 for line in said.splitlines())
