from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from devtools.edits import edit_component, edit_template, other_wheel
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
