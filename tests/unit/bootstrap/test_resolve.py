from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import packaging.requirements
import pytest

from bootstrap.pip import Pip
from bootstrap.resolve import evaluated, resolve
from releasekit.errors import Failure
from releasekit.locks import Wheel

ENVIRONMENT = {"python_version": "3.13", "sys_platform": "linux", "python_full_version": "3.13.5"}


@pytest.fixture(autouse=True)
def packaging_of_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "pip._vendor.packaging.requirements"
    monkeypatch.setitem(sys.modules, name, packaging.requirements)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_markers_are_evaluated_for_the_release_not_for_this_python() -> None:
    requires = [
        "Plain.Name>=1",
        "old; python_version < '3.13'",
        "win; sys_platform == 'win32'",
        "uvicorn[Standard,a_b]~=1.0 ; python_version >= '3.9'",
        "fast>2; extra == 'speed'",
        'both; sys_platform == "linux" and extra == "Speed_Up"',
        "never; sys_platform == 'win32' and extra == 'speed'",
    ]
    always, extras = evaluated(Path("/none"), ENVIRONMENT, requires)
    assert always == ["plain-name", "uvicorn[a-b,standard]"]
    assert extras == {"speed": ["fast"], "speed-up": ["both"]}


def test_what_is_kept_is_taken_at_its_version() -> None:
    """As a constraint of pip's: what was newer meanwhile does not come by itself."""
    said: list[tuple[str, str]] = []

    class Asked:
        def run(self, *words: str, env: object) -> subprocess.CompletedProcess[str]:
            for word in words:
                name, _, path = word.partition("=")
                if name in ("--constraint", "--requirement"):
                    said.append((name, Path(path).read_text()))
            return subprocess.CompletedProcess(words, 1, "", "no network here")

        def published_only(self) -> dict[str, str]:
            return {}

    wheel = Wheel("1.2", "old-1.2-py3-none-any.whl", "0" * 64, 1)
    with pytest.raises(Failure, match="pip cannot resolve new==2"):
        resolve(cast(Pip, Asked()), "3.13", ["new==2"], kept={"old": wheel})
    assert said == [("--requirement", "new==2\n"), ("--constraint", "old==1.2\n")]


def test_what_cannot_be_kept_gives_way_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """pip says which constraint is in the way; the others hold."""
    asked: list[str] = []

    class Asked:
        def run(self, *words: str, env: object) -> subprocess.CompletedProcess[str]:
            given = dict(word.partition("=")[::2] for word in words)
            asked.append(Path(given["--constraint"]).read_text())
            if "old-one==1.2" in asked[-1]:
                said = "The user requested (constraint) Old_One==1.2\n"
                return subprocess.CompletedProcess(words, 1, said, "ERROR: ResolutionImpossible")
            Path(given["--report"]).write_text('{"install": []}')
            return subprocess.CompletedProcess(words, 0, "", "")

        def published_only(self) -> dict[str, str]:
            return {}

    wheel = Wheel("1.2", "a-1.2-py3-none-any.whl", "0" * 64, 1)
    kept = {"old-one": wheel, "other": wheel}
    assert resolve(cast(Pip, Asked()), "3.13", ["new==2"], kept=kept) == {}
    assert asked == ["old-one==1.2\nother==1.2\n", "other==1.2\n"]
    assert "Not kept, for something needs another version: old-one" in capsys.readouterr().err
