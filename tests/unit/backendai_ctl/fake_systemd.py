"""As much of systemd as steps ask, in memory: units that start and become well, or do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backendai_ctl.platform import systemd, units
from backendai_ctl.services import dropins, serving


@dataclass
class FakeSystemd:
    """`sick`: what a unit says instead of becoming well; `restarts`: how often it ended then."""

    calls: list[str] = field(default_factory=list)
    active: dict[str, str] = field(default_factory=dict)  # unit -> ActiveState
    enabled: dict[str, str] = field(default_factory=dict)  # unit -> UnitFileState
    sick: str = ""
    restarts: int = 0
    job: str = ""  # of a restart that systemd has not begun: its number

    def systemctl(self, *words: str, **_: object) -> str:
        self.calls.append(" ".join(words))
        verb, *named = [word for word in words if not word.startswith("--")]
        for unit in named:
            if verb in ("start", "restart"):
                self.active[unit] = "activating" if self.sick else "active"
            elif verb == "stop":
                self.active[unit] = "inactive"
            elif verb in ("enable", "disable"):
                self.enabled[unit] = f"{verb}d"
        return ""

    def properties(self, unit: str, names: Sequence[str]) -> dict[str, str]:
        every = {
            "ActiveState": self.active.get(unit, "inactive"),
            "UnitFileState": self.enabled.get(unit, "disabled"),
            "StatusText": self.sick,
            "NRestarts": str(self.restarts),
            "Job": self.job,
            "NeedDaemonReload": "no",
        }
        return {name: every[name] for name in names}


def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> FakeSystemd:
    """Have steps ask it, and write drop-ins below `folder`."""
    made = FakeSystemd()
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", made.systemctl)
    monkeypatch.setattr(systemd, "properties", made.properties)
    monkeypatch.setattr(systemd, "forget_failures", lambda _units: None)
    for module in (units, dropins):
        monkeypatch.setattr(module, "FOLDER", folder)
    monkeypatch.setattr(serving, "POLL", 0.01)
    monkeypatch.setattr(serving, "TIMEOUT", 0.05)
    return made
