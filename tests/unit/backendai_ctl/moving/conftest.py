"""A host as release 26.9.6-1 left it."""

from __future__ import annotations

from pathlib import Path

import earlier_release
import pytest

from backendai_ctl.context import Context
from backendai_ctl.platform import systemd, units


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: False)


@pytest.fixture
def earlier(ctx: Context) -> Context:
    earlier_release.leave(ctx)
    return ctx
