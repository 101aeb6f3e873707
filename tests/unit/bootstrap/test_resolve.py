from __future__ import annotations

import sys
from pathlib import Path

import packaging.requirements
import pytest

from bootstrap.resolve import evaluated

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
