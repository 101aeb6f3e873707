from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from releasekit import specs
from releasekit.own_wheel import WheelSpec, file_name
from releasekit.wheels import install_wheel

ROOT = Path(__file__).resolve().parents[3]

Build = Callable[[WheelSpec], Path]


@pytest.fixture
def spec(tmp_path: Path) -> WheelSpec:
    package = tmp_path / "src/our_own/inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("def main():\n    print('ours')\n")
    (package / "__init__.py").write_text("")
    (package / "judge.sh").write_text("exit 0\n")
    (package.parent / "notes.txt").write_text("not a module")
    return WheelSpec(
        name="our-own",
        version="1.2",
        summary="Ours",
        homepage="https://example.org",
        license="MIT",
        python="3.13",
        mtime=1_700_000_000,
        output=str(tmp_path / "out"),
        sources=str(tmp_path / "src"),
        packages=["our_own"],
        requires=["click"],
        scripts={"our-own": "our_own:main"},
    )


@pytest.fixture
def build(build_libraries: Path, tmp_path: Path) -> Build:
    """build(spec) -> the wheel, by the program as a rule runs it; setuptools changes its process."""

    def run(spec: WheelSpec) -> Path:
        (tmp_path / "spec.json").write_text(specs.text(spec))
        done = subprocess.run(
            [sys.executable, "-m", "releasekit.own_wheel", "spec.json"],
            cwd=tmp_path,
            env={"PYTHONPATH": f"{ROOT / 'src'}:{build_libraries}"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return Path(spec.output, file_name(spec.name, spec.version))

    return run


def test_an_installer_takes_it(spec: WheelSpec, build: Build, tmp_path: Path) -> None:
    installed = install_wheel(
        build(spec), tmp_path / "env", python="3.13", shown_as="/opt/env", rules=()
    )
    assert (installed.name, installed.version) == ("our-own", "1.2")
    script = (tmp_path / "env/bin/our-own").read_text()
    assert script.startswith("#!/opt/env/bin/python -I\n") and "from our_own import main" in script
    metadata = (installed.info / "METADATA").read_text()
    assert "Requires-Dist: click\n" in metadata and "License-Expression: MIT\n" in metadata


def test_it_holds_modules_and_scripts_and_nothing_else(spec: WheelSpec, build: Build) -> None:
    with zipfile.ZipFile(build(spec)) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        inner = ["our_own/inner/__init__.py", "our_own/inner/judge.sh"]
        assert sorted(names) == ["our_own/__init__.py", *inner]
        assert wheel.testzip() is None


def test_its_bytes_depend_on_the_sources_alone(spec: WheelSpec, build: Build) -> None:
    first = build(spec).read_bytes()
    for path in Path(spec.sources).rglob("*.??"):
        path.chmod(0o600)
        path.touch()
    assert build(spec).read_bytes() == first


def test_a_package_that_is_none_is_named(spec: WheelSpec, build: Build) -> None:
    spec.packages.append("absent")
    with pytest.raises(AssertionError, match="absent is not a Python package"):
        build(spec)
