from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from releasekit.errors import Failure
from releasekit.own_wheel import WheelSpec, build
from releasekit.wheels import install_wheel


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
        output=str(tmp_path / "out"),
        sources=str(tmp_path / "src"),
        packages=["our_own"],
        requires=["click"],
        scripts={"our-own": "our_own:main"},
    )


def test_an_installer_takes_it(spec: WheelSpec, tmp_path: Path) -> None:
    installed = install_wheel(build(spec), tmp_path / "env", shown_as="/opt/env", rules=())
    assert (installed.name, installed.version) == ("our-own", "1.2")
    script = (tmp_path / "env/bin/our-own").read_text()
    assert script.startswith("#!/opt/env/bin/python -I\n") and "from our_own import main" in script
    metadata = (installed.info / "METADATA").read_text()
    assert "Requires-Dist: click\n" in metadata and "License-Expression: MIT\n" in metadata


def test_it_holds_modules_and_scripts_and_nothing_else(spec: WheelSpec) -> None:
    with zipfile.ZipFile(build(spec)) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        inner = ["our_own/inner/__init__.py", "our_own/inner/judge.sh"]
        assert names == ["our_own/__init__.py", *inner]
        assert wheel.testzip() is None


def test_its_bytes_depend_on_the_sources_alone(spec: WheelSpec) -> None:
    first = build(spec).read_bytes()
    for path in Path(spec.sources).rglob("*.py"):
        path.chmod(0o600)
        path.touch()
    assert build(spec).read_bytes() == first


def test_a_package_that_is_none_is_named(spec: WheelSpec, tmp_path: Path) -> None:
    spec.packages.append("absent")
    with pytest.raises(Failure, match="absent is no Python package"):
        build(spec)
