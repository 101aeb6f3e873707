"""Promise: a service that is asked how it is looks, and does not tell what it saw a minute ago."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backendai_serve import probes

SOURCES = Path(__file__).resolve().parents[3] / "src"
MODULE = "ai/backend/common/health_checker/probe.py"
CALL = "from backendai_serve import patches; patches.install()\n"


class Probe:
    """As upstream's: it looks at intervals, and answers with what it saw last."""

    def __init__(self, *, takes: float = 0.0) -> None:
        self.world, self.seen, self.takes, self.looks = "up", "nothing", takes, 0

    async def check_all(self) -> None:
        self.looks += 1
        await asyncio.sleep(self.takes)
        self.seen = self.world

    async def get_connectivity_status(self) -> str:
        return self.seen

    get_liveness_status = get_readiness_status = get_connectivity_status


@pytest.fixture
def probe() -> Any:
    made = type("HealthProbe", (Probe,), dict(Probe.__dict__))
    probes.keep_fresh(SimpleNamespace(HealthProbe=made))
    return made


@pytest.mark.parametrize("answer", ["connectivity", "liveness", "readiness"])
def test_what_went_away_and_came_back_is_told_at_once(
    probe: Any, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "FRESH", 0.0)

    async def story() -> list[str]:
        made, told = probe(), []
        ask = getattr(made, f"get_{answer}_status")
        for made.world in ("up", "down", "up"):
            told.append(await ask())
        return told

    assert asyncio.run(story()) == ["up", "down", "up"]


def test_one_look_serves_all_who_ask_within_a_second(probe: Any) -> None:
    async def story() -> int:
        made = probe(takes=0.05)
        await asyncio.gather(*(made.get_connectivity_status() for _ in range(20)))
        await made.get_connectivity_status()
        looks: int = made.looks
        return looks

    assert asyncio.run(story()) == 1


def test_a_look_of_the_probes_own_counts(probe: Any) -> None:
    async def story() -> int:
        made = probe()
        await made.check_all()
        await made.get_connectivity_status()
        looks: int = made.looks
        return looks

    assert asyncio.run(story()) == 1


def test_a_server_that_hangs_keeps_nobody_waiting(
    probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look goes on meanwhile, and who asks then is told."""
    monkeypatch.setattr(probes, "PATIENCE", 0.1)

    async def story() -> tuple[str, float, str]:
        made = probe(takes=0.5)
        began = time.monotonic()
        first = await made.get_connectivity_status()
        took = time.monotonic() - began
        await asyncio.sleep(0.6)
        return first, took, await made.get_connectivity_status()

    first, took, then = asyncio.run(story())
    assert first == "nothing" and took < 0.4
    assert then == "up"


def test_a_look_that_fails_leaves_the_last_answer(probe: Any) -> None:
    async def broken() -> None:
        raise RuntimeError

    async def story() -> str:
        made = probe()
        made.check_all = broken
        found: str = await made.get_connectivity_status()
        return found

    assert asyncio.run(story()) == "nothing"


def test_upstreams_module_is_changed_when_a_service_imports_it(tmp_path: Path) -> None:
    path = tmp_path / MODULE
    path.parent.mkdir(parents=True)
    answers = "get_connectivity_status", "get_liveness_status", "get_readiness_status"
    lines = [f"    async def {name}(self): pass" for name in ("check_all", *answers)]
    path.write_text("\n".join(["class HealthProbe:", *lines]))
    module = MODULE.removesuffix(".py").replace("/", ".")
    ask = f"from {module} import HealthProbe as p; print(hasattr(p.check_all, '__wrapped__'))"
    done = subprocess.run(
        [sys.executable, "-c", CALL + ask],
        env={"PYTHONPATH": f"{SOURCES}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True"
