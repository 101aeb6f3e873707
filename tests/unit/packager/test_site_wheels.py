"""Promise: a plugin of a site's own is one folder, with its wheel, and needs no index to be built.

A wheel that would not run on the release's hosts is refused before anything is built.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from miniature import COMMON, VERSION, component, make_wheel
from pants.engine.internals.scheduler import ExecutionError
from test_packages import SITE, deb_field, deb_paths

from packager.site_wheels import entries
from releasekit.errors import Failure

FOLDER = "packaging/components/npu"
LOCK: dict[str, Any] = {
    "python": "3.13",
    "packages": {
        "aiohttp": {"version": "3.12.1", "extras": {"speedups": []}},
        "backend-ai-agent": {"version": "26.9.6"},
    },
}


def put(miniature: Any, *requires: str, name: str = "acme_npu") -> None:
    """A folder with a wheel beside its BUILD file."""
    miniature.write(
        {
            f"{FOLDER}/BUILD": component("npu", distributions=["one", "acme-npu"]),
            "packaging/common/BUILD": COMMON,
        }
    )
    folder = Path(miniature.runner.build_root, FOLDER)
    entry = "[backendai_accelerator_v21]\nnpu = acme_npu:Plugin\n"
    files = {f"{name}/__init__.py": "", f"{name}-1.0.dist-info/entry_points.txt": entry}
    make_wheel(folder, name, files, requires=requires)


def test_its_wheel_is_in_a_package_that_needs_what_it_builds_on(miniature: Any) -> None:
    put(miniature, "shared>=1", "absent; sys_platform == 'win32'", "absent; extra == 'x'")
    deb = (
        miniature.build(f"{FOLDER}:backendai-npu.deb", "deb") / f"backendai-npu_{VERSION}_amd64.deb"
    )
    paths = deb_paths(deb)
    assert f"{SITE}/acme_npu/__init__.py" in paths
    assert f"{SITE}/acme_npu-1.0.dist-info/entry_points.txt" in paths
    assert not [path for path in paths if "/one/" in path or "/shared/" in path]
    assert f"backendai-one (= {VERSION})" in deb_field(deb, "Depends")
    rpm = miniature.build(f"{FOLDER}:backendai-npu.rpm", "rpm")
    assert (rpm / f"backendai-npu-{VERSION}.x86_64.rpm").exists()


def test_a_newer_wheel_is_seen_by_the_next_build(miniature: Any) -> None:
    put(miniature)
    deb = (
        miniature.build(f"{FOLDER}:backendai-npu.deb", "deb") / f"backendai-npu_{VERSION}_amd64.deb"
    )
    before = deb.read_bytes()
    folder = Path(miniature.runner.build_root, FOLDER)
    make_wheel(folder, "acme_npu", {"acme_npu/__init__.py": "NEW = 1\n"})
    miniature.runner.scheduler.invalidate_files(
        {f"{FOLDER}/{path.name}" for path in folder.glob("*.whl")}
    )
    assert miniature.build(f"{FOLDER}:backendai-npu.deb", "deb")
    assert deb.read_bytes() != before


def test_a_wheel_that_does_not_fit_ends_the_build_before_it_begins(miniature: Any) -> None:
    put(miniature, "shared>=2")
    with pytest.raises(ExecutionError) as caught:
        miniature.build(f"{FOLDER}:backendai-npu.deb", "deb")
    path = f"{FOLDER}/acme_npu-1.0-py3-none-any.whl"
    assert f"{path} requires shared>=2, the release has 1.0" in str(caught.value)
    assert "hint: build the plugin for this release" in str(caught.value)


def wheel(folder: Path, *requires: str, name: str = "acme_npu", python: str = "") -> bytes:
    path = make_wheel(folder, name, {}, requires=requires)
    if python:
        with zipfile.ZipFile(path) as made:
            texts = {item: made.read(item).decode() for item in made.namelist()}
        with zipfile.ZipFile(path, "w") as made:
            for item, text in texts.items():
                field = f"Requires-Python: {python}\nLicense:"
                made.writestr(item, text.replace("License:", field, 1))
    return path.read_bytes()


def refused(wheels: dict[str, bytes]) -> str:
    with pytest.raises(Failure) as caught:
        entries(wheels, LOCK)
    return str(caught.value)


def test_an_entry_says_where_the_file_is_and_what_it_requires(tmp_path: Path) -> None:
    path = f"{FOLDER}/acme_npu-1.0-py3-none-any.whl"
    needs = ("aiohttp[speedups]>=3,<4", "Acme_Base", 'tomli; python_version < "3.11"')
    found = entries(
        {
            path: wheel(tmp_path, *needs, python=">=3.12"),
            f"{FOLDER}/acme_base-1.0-py3-none-any.whl": wheel(tmp_path, name="acme_base"),
        },
        LOCK,
    )
    assert list(found) == ["acme-base", "acme-npu"]
    entry = found["acme-npu"]
    assert (entry["in_checkout"], entry["version"]) == (path, "1.0")
    assert entry["requires"] == ["acme-base", "aiohttp[speedups]"]
    assert entry["size"] > 0 and len(entry["sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acme_npu-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "hosts run CPython 3.13 on"),
        ("acme_npu-1.0-cp313-cp313-manylinux_2_34_x86_64.whl", "hosts run CPython 3.13 on"),
        ("acme_npu-1.0-cp313-cp313-linux_x86_64.whl", "hosts run CPython 3.13 on"),
        ("acme_npu-1.0-cp313-cp313-manylinux_2_28_aarch64.whl", "hosts run CPython 3.13 on"),
        ("npu.whl", "Invalid wheel filename"),
    ],
)
def test_a_wheel_for_other_hosts_is_refused(tmp_path: Path, name: str, said: str) -> None:
    error = refused({f"{FOLDER}/{name}": wheel(tmp_path)})
    assert error.startswith(f"{FOLDER}/{name}: ") and said in error and "hint: " in error


@pytest.mark.parametrize(
    "tag", ["py3-none-any", "cp313-cp313-manylinux_2_17_x86_64", "cp39-abi3-manylinux1_x86_64"]
)
def test_a_wheel_for_the_releases_hosts_is_taken(tmp_path: Path, tag: str) -> None:
    assert entries({f"{FOLDER}/acme_npu-1.0-{tag}.whl": wheel(tmp_path)}, LOCK)


def test_what_the_release_does_not_have_is_named_with_a_cure(tmp_path: Path) -> None:
    path = f"{FOLDER}/acme_npu-1.0-py3-none-any.whl"
    error = refused({path: wheel(tmp_path, "acme-base")})
    assert f"{path} requires acme-base, which the release does not have" in error
    assert "hint: put the wheel of acme-base beside it" in error
    error = refused({path: wheel(tmp_path, "backend.ai-agent==26.8.3")})
    assert f"{path} requires backend-ai-agent==26.8.3, the release has 26.9.6" in error
    for need in ("aiohttp[other]", "acme-npu[all]", "aiohttp @ https://elsewhere.example/a.whl"):
        error = refused({path: wheel(tmp_path, need)})
        assert "an extra that the release does not have, or an address" in error
    error = refused({path: wheel(tmp_path, python="<3.13")})
    assert f"{path} requires Python <3.13, the release has 3.13" in error


def test_a_distribution_is_there_once(tmp_path: Path) -> None:
    path = f"{FOLDER}/aiohttp-4.0-py3-none-any.whl"
    error = refused({path: wheel(tmp_path, name="aiohttp")})
    assert f"{path}: aiohttp is in packaging/locks/python.lock, too" in error
    mine, other = (f"packaging/components/{n}/acme_npu-1.0-py3-none-any.whl" for n in "ab")
    error = refused({mine: wheel(tmp_path), other: wheel(tmp_path)})
    assert f"{other}: acme-npu is in {mine}, too" in error


def test_a_file_that_is_no_wheel_is_named() -> None:
    path = f"{FOLDER}/acme_npu-1.0-py3-none-any.whl"
    assert f"{path} is not a wheel: File is not a zip file" in refused({path: b"<html>"})
