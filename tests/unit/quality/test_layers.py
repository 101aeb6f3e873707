"""Who may import whom: the contracts of pyproject.toml, which docs/ARCHITECTURE.md shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[3]
LINT = Path(sys.executable).parent / "lint-imports"


def linted(sources: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT), "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        cwd=sources,
        env={**os.environ, "PYTHONPATH": str(sources), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )


def test_the_contracts_are_kept() -> None:
    done = linted(ROOT / "src")
    assert done.returncode == 0, done.stdout


def test_the_picture_of_the_layers_is_what_the_contract_says() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = [c["layers"] for c in settings["contracts"] if "containers" in c]
    picture = (
        (ROOT / "docs/ARCHITECTURE.md")
        .read_text("utf-8")
        .partition("know nothing of each other:")[2]
    )
    lines = [line for line in picture.splitlines() if line.startswith("    ")][: len(layers) - 1]
    shown = [re.split(r"\s{2,}", line.strip())[0] for line in lines]
    assert shown == [layer for layer in layers if layer != "__main__"]


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("backendai_ctl/site/values.py", "from backendai_ctl.steps import plan", "Each layer"),
        ("backendai_ctl/etcd/client.py", "from backendai_ctl.database import seed", "Each layer"),
        ("backendai_ctl/another/__init__.py", "", "Each layer"),
        ("backendai_serve/health.py", "from backendai_ctl import facts", "stands alone"),
        ("releasekit/files.py", "from packager import targets", "goes one way"),
        ("bootstrap/setup.py", "import pants", "knows no Pants"),
    ],
)
def test_an_import_that_a_contract_forbids_is_found(
    tmp_path: Path, module: str, line: str, contract: str
) -> None:
    sources = tmp_path / "src"
    shutil.copytree(ROOT / "src", sources, ignore=shutil.ignore_patterns("__pycache__"))
    planted = sources / module
    planted.parent.mkdir(exist_ok=True)
    with planted.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")
    done = linted(sources)
    assert done.returncode != 0
    assert contract in done.stdout, done.stdout
