from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from devtools.edits import (
    edit_component,
    edit_debian_lock,
    edit_template,
    locked_deb,
    next_release,
    other_deb,
    other_wheel,
)
from releasekit.errors import Failure


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small/__init__.py", "x = 1\n")
        archive.writestr("small-1.0.dist-info/RECORD", "small/__init__.py,sha256=old,6\nother,,\n")
    return path


def test_the_other_wheel_has_another_hash_and_a_true_record(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    entry = other_wheel(wheel, tmp_path / "new" / wheel.name, "token")
    assert entry.sha256 != hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(tmp_path / "new" / wheel.name) as archive:
        data = archive.read("small/__init__.py")
        record = archive.read("small-1.0.dist-info/RECORD").decode().splitlines()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    assert data == b"x = 1\n\n# token\n"
    assert record == [f"small/__init__.py,sha256={digest},{len(data)}", "other,,"]


def test_each_edit_changes_its_file(tmp_path: Path) -> None:
    template = tmp_path / "packaging/templates/service.j2"
    build = tmp_path / "packaging/components/client/BUILD"
    for path, text in ((template, "[Unit]\n"), (build, 'f(summary="A client")\n')):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    edit_template(tmp_path, "token")
    edit_component(tmp_path, "token")
    assert template.read_text() == "[Unit]\n# token\n"
    assert build.read_text() == 'f(summary="token A client")\n'
    build.write_text("f()\n")
    with pytest.raises(Failure, match="no summary"):
        edit_component(tmp_path, "token")


def test_the_next_release_is_later_and_has_higher_numbers(tmp_path: Path) -> None:
    table = tmp_path / "packaging/release.toml"
    table.parent.mkdir()
    row = 'revision = 1  # ours\nnumber = 9\ndate = "2026-12-31T23:30:00Z"\n'
    table.write_text(row)
    next_release(tmp_path)
    assert table.read_text() == (
        'revision = 2  # ours\nnumber = 10\ndate = "2027-01-01T00:30:00Z"\n'
    )
    table.write_text("")
    with pytest.raises(Failure, match="has nothing like"):
        next_release(tmp_path)


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
def test_an_update_of_a_debian_package_is_locked_by_its_own_hash(tmp_path: Path) -> None:
    tree = tmp_path / "small"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/doc/small").mkdir(parents=True)
    text = "Package: small\nVersion: 1:2-3\nArchitecture: amd64\nMaintainer: x\nDescription: y\n"
    (tree / "DEBIAN/control").write_text(text)
    deb = tmp_path / "small_2-3_amd64.deb"
    subprocess.run(["dpkg-deb", "-b", tree, deb], check=True, capture_output=True)
    entry, made = other_deb(deb, tmp_path, "token")
    assert (entry.version, entry.filename) == ("1:2-3+token", "small_2-3+token_amd64.deb")
    assert entry.sha256 == hashlib.sha256(made.read_bytes()).hexdigest()
    listed = subprocess.run(["dpkg-deb", "-c", made], capture_output=True, text=True, check=True)
    assert "./usr/share/doc/small/token" in listed.stdout

    lock = tmp_path / "packaging/locks/debian.lock"
    lock.parent.mkdir(parents=True)
    row = {"version": "1:2-3", "filename": deb.name, "sha256": "a", "size": 1, "path": "pool/s/x"}
    lock.write_text(json.dumps({"packages": {"trixie/small": row}}))
    edit_debian_lock(tmp_path, "trixie/small", entry)
    assert locked_deb(tmp_path, "trixie/small") == entry
    found = json.loads(lock.read_text())["packages"]["trixie/small"]
    assert found["path"] == "pool/s/small_2-3+token_amd64.deb"
