from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import unsigned_bundle

from devtools.against import (
    DIFFERENT,
    KEYS,
    MISSING,
    NOT_BUILT,
    PROVENANCE,
    Shipped,
    hold_against,
    sources_of,
    tell,
)
from devtools.compare import SAME
from releasekit.errors import Failure

COMMIT = "a" * 40
RELEASE = unsigned_bundle.RELEASE.format(number=1, key="AB" * 20, size=1)


def package(text: str, member: str = "./usr/share/file") -> bytes:
    """What stands for a package here: a tar with one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def shipped(folder: Path, debs: Mapping[str, bytes], **facts: Any) -> Shipped:
    """A bundle, unsigned, with these debs (and `images`) and a provenance that names them (or `subjects`)."""
    files = {f"apt/pool/main/{name}": data for name, data in debs.items()}
    files.update({f"images/{name}": data for name, data in facts.get("images", {}).items()})
    files["RELEASE"] = RELEASE.encode()
    named = facts.get("subjects", debs)
    rows = [
        {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
        for name, data in named.items()
    ]
    definition = {
        "externalParameters": {"commit": facts.get("commit", COMMIT)},
        "resolvedDependencies": [{"digest": {"sha256": one}} for one in facts.get("inputs", ())],
    }
    statement = {"subject": rows, "predicate": {"buildDefinition": definition}}
    files[PROVENANCE] = json.dumps(statement).encode()
    return Shipped(unsigned_bundle.write(folder, files), statement)


def built(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_what_is_the_same_is_the_same_and_what_was_not_built_does_not_count(tmp_path: Path) -> None:
    one = shipped(tmp_path / "b", {"x.pkg.deb": package("1"), "y.deb": package("2")})
    dist = built(tmp_path / "dist", {"x.pkg.deb": package("1")})
    rows = hold_against(one, dist, tmp_path / "s", whole=False)
    assert [(row.name, row.result) for row in rows] == [("x.pkg.deb", SAME)]
    assert tell(rows) == 0
    rows = hold_against(one, dist, tmp_path / "s", whole=True)
    assert {row.name: row.result for row in rows} == {"x.pkg.deb": SAME, "y.deb": NOT_BUILT}
    assert tell(rows) == 1


def test_the_file_inside_that_differs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devtools.compare.which", lambda name: None)  # our own words
    source = tmp_path / "root"
    debs = {}
    for word in ("good", "evil"):
        (source / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (source / "DEBIAN/control").write_text(
            "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: m <m@example.com>\n"
            "Description: d\n"
        )
        (source / "bin").mkdir(exist_ok=True)
        (source / "bin/tool").write_text(word)
        argv = ["dpkg-deb", "--root-owner-group", "-b", str(source), str(tmp_path / f"{word}.deb")]
        subprocess.run(argv, check=True, capture_output=True)
        debs[word] = (tmp_path / f"{word}.deb").read_bytes()
    # Manipulated after it was built: the provenance still names what was.
    one = shipped(tmp_path / "b", {"x.deb": debs["evil"]}, subjects={"x.deb": debs["good"]})
    rows = hold_against(
        one, built(tmp_path / "dist", {"x.deb": debs["good"]}), tmp_path, whole=True
    )
    assert [row.result for row in rows] == [DIFFERENT]
    assert tell(rows) == 1
    out = capsys.readouterr().out
    assert "data: ./bin/tool" in out and "shipped:" in out and "built:" in out


def test_a_provenance_that_names_another_hash_is_a_difference(tmp_path: Path) -> None:
    one = shipped(tmp_path / "b", {"x.deb": b"1"}, subjects={"x.deb": b"2"})
    rows = hold_against(one, built(tmp_path / "d", {"x.deb": b"1"}), tmp_path / "s", whole=True)
    assert rows[0].result == DIFFERENT
    assert "the provenance says" in rows[0].details[0]


def test_a_pex_is_held_against_the_provenance_alone(tmp_path: Path) -> None:
    one = shipped(tmp_path / "b", {}, subjects={"x.pex": b"1", "y.pex": b"2"})
    dist = built(tmp_path / "d", {"x.pex": b"1", "y.pex": b"3"})
    rows = hold_against(one, dist, tmp_path / "s", whole=True)
    assert {row.name: row.result for row in rows} == {"x.pex": SAME, "y.pex": DIFFERENT}


def test_images_are_held_against_the_bundle_where_no_bundle_was_built(tmp_path: Path) -> None:
    one = shipped(tmp_path / "b", {}, images={"index.json": b"{}", "same": b"1", "unbuilt": b"2"})
    dist = tmp_path / "d"
    built(dist, {})
    built(dist / "images", {"index.json": b"{ }", "same": b"1", "new": b"3"})
    rows = hold_against(one, dist, tmp_path / "s", whole=False)
    assert {row.name: row.result for row in rows} == {
        "images/index.json": DIFFERENT,
        "images/new": MISSING,
        "images/same": SAME,
    }
    assert tell(rows) == 1


def test_a_package_that_nothing_accounts_for_is_a_difference(tmp_path: Path) -> None:
    known = hashlib.sha256(b"known").hexdigest()
    debs = {"known.deb": b"known", "smuggled.deb": b"smuggled"}
    one = shipped(tmp_path / "b", debs, subjects={}, inputs=[known])
    dist = built(tmp_path / "d", {"new.deb": b"new"})
    rows = hold_against(one, dist, tmp_path / "s", whole=False)
    found = {row.name: row.result for row in rows}
    assert found == {"new.deb": MISSING, "apt/pool/main/smuggled.deb": DIFFERENT}


def test_the_keyring_may_hold_other_keys_and_nothing_else(tmp_path: Path) -> None:
    name = "backendai-archive-keyring_1_all.pkg"
    for inside, result in (("./usr/share/k.gpg", KEYS), ("./usr/bin/tool", DIFFERENT)):
        mine, theirs = package("a", inside), package("b", inside)
        other = shipped(tmp_path / result, {name: mine}, subjects={name: mine})
        dist = built(tmp_path / f"d{len(result)}", {name: theirs})
        rows = hold_against(other, dist, tmp_path / "s", whole=True)
        assert [row.result for row in rows] == [result]


def test_sources_are_of_the_commit_that_was_built(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path / "r"), "-c", "user.name=n", "-c", "user.email=e@example.com"]
    (tmp_path / "r").mkdir()
    subprocess.run([*git, "init", "-q"], check=True)
    commits = []
    for text in ("old", "new"):
        (tmp_path / "r/file").write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-qm", text], check=True)
        done = subprocess.run(
            [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
        commits.append(done.stdout.strip())
    old = shipped(tmp_path / "b0", {}, commit=commits[0])
    new = shipped(tmp_path / "b1", {}, commit=commits[1])
    assert sources_of(new, tmp_path / "r", tmp_path / "c1") == tmp_path / "r"
    clone = sources_of(old, tmp_path / "r", tmp_path / "c0")
    assert (clone / "file").read_text() == "old"
    (tmp_path / "r/file").write_text("changed")
    assert sources_of(new, tmp_path / "r", tmp_path / "c2") == tmp_path / "c2"
    dirty = shipped(tmp_path / "b2", {}, commit=f"{commits[1]}-dirty")
    with pytest.raises(Failure, match="no commit that can be checked out"):
        sources_of(dirty, tmp_path / "r", tmp_path / "c3")
    with pytest.raises(Failure, match="does not give the commit"):
        sources_of(shipped(tmp_path / "b4", {}), tmp_path / "r", tmp_path / "c4")
