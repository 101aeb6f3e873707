"""The linters are tests: ruff, mypy --strict, shellcheck, and the rules of the house."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import goals

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
HOUSE_LIMIT = 400  # lines of a module; data and locks may be longer


def tracked() -> list[Path]:
    return [ROOT / name for name in goals.tracked(ROOT)]


def passes(*argv: str | Path) -> None:
    done = subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_ruff_finds_nothing() -> None:
    passes(BIN / "ruff", "check", "--no-cache", ".")


def test_the_code_is_formatted() -> None:
    passes(BIN / "ruff", "format", "--no-cache", "--check", ".")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy learned of libraries in one of its runs, for the others."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("typed", goals.TYPED, ids=lambda typed: typed.folders[0])
def test_mypy_strict_finds_nothing(typed: goals.Typed, learned: Path) -> None:
    pants = os.environ.get("BACKENDAI_PANTS_PYTHON")
    if typed.group != "test" and not pants:
        pytest.skip("BACKENDAI_PANTS_PYTHON is not set: run by scripts/test")
    argv = typed.argv(ROOT, BIN / "mypy", lambda _group: Path(pants or "").parents[1])
    environment = {**os.environ, "MYPYPATH": typed.path}
    argv[1:1] = ["--cache-dir", str(learned)]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def shell_scripts() -> list[str]:
    found = goals.shell_scripts(ROOT, goals.tracked(ROOT))
    assert "pants" in found
    return found


def test_shellcheck_finds_nothing() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed (apt install shellcheck)")
    passes("shellcheck", *shell_scripts())


@pytest.mark.parametrize("moment", ["postinstall", "posttrans", "preremove", "postremove"])
@pytest.mark.parametrize("own", [True, False])
def test_shellcheck_finds_nothing_in_maintainer_scripts(
    moment: str, own: bool, tmp_path: Path
) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed (apt install shellcheck)")
    script = tmp_path / moment
    script.write_text(maintainer_script(moment, own=own))
    passes("shellcheck", script)


@pytest.mark.parametrize("moment", ["postinstall", "posttrans", "preremove", "postremove"])
def test_maintainer_scripts_are_short(moment: str) -> None:
    lines = maintainer_script(moment, own=False).splitlines()
    assert len([line for line in lines if not line.startswith("#")]) <= 10


def maintainer_script(moment: str, *, own: bool) -> str:
    """A script of a service, or (own) of a package that makes the user and has the handler."""
    import jinja2
    import tomllib

    table = tomllib.loads((ROOT / "packaging/release.toml").read_text("utf-8"))
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["fill"] = lambda text: text.format_map(table["paths"])
    values = {
        "package": "backendai-x",
        "moment": moment,
        "services": ["x.service"],
        "has_folders": own,
        "configured": True,
        "handler": own,
        "plugin": False,
        "flags": ["{state}/ctl/ready/x"],
        "generated": ["{config}/x.toml"],
    }
    text = (ROOT / "packaging/templates/maintainer.sh.j2").read_text("utf-8")
    return environment.from_string(text).render(**table, **values)


def test_modules_stay_short() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in tracked()
        if path.suffix in (".py", ".mjs", ".sh")
        and (lines := len(path.read_text("utf-8").splitlines())) > HOUSE_LIMIT
    }
    assert not long


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    # Spelled in pieces, so that this file does not match itself.
    hosts = [
        "pypi" + r"\.org",
        "pythonhos" + r"ted\.org",
        "registry" + r"\.npmjs",
        r"(deb|security|snapshot)\." + r"debian\.org",
    ]
    homes = [r"(?<![\w.])/ro" + "ot/", r"(?<![\w.-])/wo" + "rk/", r"\.pye" + "nv/versions"]
    pattern = re.compile("|".join([*hosts, *homes]))
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{path.relative_to(ROOT)}: {m.group(0)}" for m in pattern.finditer(text)]
    assert not found


def test_files_are_small() -> None:
    assert not [path for path in tracked() if path.stat().st_size > 2_000_000]
