from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from releasekit import nfpm, tarball
from releasekit.errors import Failure
from releasekit.nfpm import (
    PackageSpec,
    configuration,
    description,
    inner_folders,
    license_of,
    packed,
    rfc3339,
)

STAMP = 1_700_000_000
FIELDS = {
    "name": "p",
    "homepage": "https://h",
    "license": "LGPL-3.0-only",
    "description": "Summary\nText.",
}


@pytest.fixture(autouse=True)
def in_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def spec(**more: Any) -> PackageSpec:
    return PackageSpec(
        **{"format": "deb", "output": "p", "nfpm": "", "mtime": STAMP, "fields": FIELDS, **more}
    )


def tree(**files: str) -> Path:
    root = Path("root")
    root.mkdir()
    for name, text in files.items():
        path = root / "opt/x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    return root


def by_path(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["dst"]: row for row in made["contents"]}


def test_time_stamps_are_read_by_nfpm() -> None:
    assert rfc3339(STAMP) == "2023-11-14T22:13:20Z"


def test_every_entry_states_owner_mode_and_time() -> None:
    root = tree(a="1")
    (root / "opt/x/link").symlink_to("a")
    file = {"dst": "/opt/x/new/b", "src": "b", "mode": 0o644, "type": ""}
    rows = by_path(configuration(spec(contents=[file]), root))
    assert {row["file_info"]["owner"] for row in rows.values()} == {"root"}
    assert {row["file_info"]["mtime"] for row in rows.values()} == {rfc3339(STAMP)}
    assert rows["/opt/x/a"]["file_info"]["mode"] == 0o644
    assert rows["/opt/x"]["type"] == "dir" and rows["/opt/x"]["file_info"]["mode"] == 0o755
    assert rows["/opt/x/link"]["file_info"]["mode"] == 0o777
    assert rows["/opt/x/link"]["src"] == "a"


def test_folders_of_the_host_are_left_to_the_host_and_inner_ones_are_owned() -> None:
    rows = by_path(configuration(spec(contents=[{"dst": "/opt/x/n/m/b", "src": "b"}]), tree(a="")))
    folders = sorted(path for path, row in rows.items() if row.get("type") == "dir")
    assert folders == ["/opt/x", "/opt/x/n", "/opt/x/n/m", "/usr/share/doc/p"]


def test_files_outside_of_own_folders_bring_no_folder() -> None:
    assert inner_folders([{"dst": "/usr/lib/systemd/system/x.service"}], STAMP) == []


def test_a_path_that_comes_from_two_dependencies_is_named() -> None:
    with pytest.raises(Failure, match="package p: /opt/x/a comes from two of its dependencies"):
        configuration(spec(contents=[{"dst": "/opt/x/a", "src": "b"}]), tree(a=""))


def test_an_rpm_marks_its_documentation_and_a_deb_keeps_it_plain() -> None:
    root = tree(a="")
    (root / "usr/share/doc/p").mkdir(parents=True)
    (root / "usr/share/doc/p/list.json").write_text("[]")
    deb = by_path(configuration(spec(), root))
    rpm = by_path(configuration(spec(format="rpm"), root))
    assert sorted(deb) == sorted(rpm)
    assert "type" not in deb["/usr/share/doc/p/copyright"], "nfpm drops typed files from debs"
    assert rpm["/usr/share/doc/p/copyright"]["type"] == "license"
    assert rpm["/usr/share/doc/p/list.json"]["type"] == "doc"
    assert "type" not in rpm["/opt/x/a"]


def test_a_manual_page_is_compressed_the_same_way_each_time_and_documentation_of_an_rpm() -> None:
    Path("x.1").write_text(".TH X 1\n")
    row = {"dst": "/usr/share/man/man1/x.1.gz", "src": "x.1"}
    first = by_path(configuration(spec(contents=[row], format="rpm"), tree(a="")))[row["dst"]]
    assert first["type"] == "doc"
    page = Path(first["src"]).read_bytes()
    assert gzip.decompress(page) == b".TH X 1\n" and page[3:9] == b"\0\0\0\0\0\x02"
    again = packed(row)
    assert Path(again["src"]).read_bytes() == page


def test_descriptions_are_wrapped_and_an_rpm_says_its_summary_once() -> None:
    fields = {"description": "Summary\n" + "word " * 40 + "\n\nSecond."}
    deb, rpm = description(fields, "deb"), description(fields, "rpm")
    assert deb == f"Summary\n{rpm}"
    assert max(map(len, rpm.splitlines())) <= 78
    assert rpm.endswith("\n\nSecond.")
    assert description({"description": "Summary"}, "rpm") == "Summary"


def test_the_changelog_is_passed_on() -> None:
    log = [{"semver": "1-1", "changes": [{"note": "One."}]}]
    made = configuration(spec(changelog=log), tree(a=""))
    assert json.loads(Path(made["changelog"]).read_text()) == log


@pytest.mark.parametrize("note", ["word " * 40, "two\nlines"])
def test_a_note_that_nfpm_would_turn_into_a_list_is_refused(note: str) -> None:
    log = [{"semver": "1-1", "changes": [{"note": note}]}]
    with pytest.raises(Failure, match=r"release\.toml: changelog 1-1: a note has"):
        configuration(spec(changelog=log), tree(a=""))


def test_the_licence_covers_trees_and_bundled_works() -> None:
    Path("t.json").write_text(json.dumps({"license": "LGPL-3.0-only AND (MIT OR ISC) AND Zlib"}))
    Path("l.json").write_text(
        json.dumps([{"name": "n", "version": "1", "license": "0BSD", "text": "t"}])
    )
    one = spec(tree_facts=["t.json"], licenses="l.json")
    parts = nfpm.bundled_parts(one.licenses)
    assert license_of(one, parts) == "LGPL-3.0-only AND 0BSD AND (MIT OR ISC) AND Zlib"


def test_bundled_works_are_added_to_the_copyright_file_of_the_tree() -> None:
    root = tree(a="")
    doc = root / "usr/share/doc/p"
    doc.mkdir(parents=True)
    (doc / "copyright").write_text("Format: x\n")
    Path("l.json").write_text(
        json.dumps([{"name": "n", "version": "1", "license": "ISC", "text": "t"}])
    )
    configuration(spec(licenses="l.json"), root)
    added = "\nFiles: n-1\nCopyright: the authors of n\nLicense: ISC\n t\n"
    assert (doc / "copyright").read_text() == f"Format: x\n{added}"


def test_what_nfpm_says_is_passed_on_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = Path("tool")
    tool.write_text("#!/bin/sh\necho no such field >&2\nexit 1\n")
    tool.chmod(0o755)
    tarball.pack(tree(a=""), Path("t.tar"), mtime=STAMP)
    Path("root").rename("was")
    values = {**spec(nfpm="tool", output="out/p.deb", trees=["t.tar"]).__dict__}
    Path("spec.json").write_text(json.dumps(values))
    monkeypatch.setattr(sys, "argv", ["nfpm", "spec.json"])
    with pytest.raises(Failure, match=r"nfpm failed on out/p\.deb: no such field"):
        nfpm.main()


def test_a_wrong_call_shows_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nfpm"])
    assert nfpm.main() == 2
    assert "usage:" in capsys.readouterr().err
