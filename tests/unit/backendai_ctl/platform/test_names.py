"""Names are looked up at once, and one that has no address has none."""

from __future__ import annotations

import time

import pytest

from backendai_ctl.platform import names


def test_names_and_addresses() -> None:
    found = names.resolve_all(["localhost", "127.0.0.1", "nobody.invalid"])
    assert "127.0.0.1" in found["localhost"]
    assert found["127.0.0.1"] == ["127.0.0.1"]
    assert found["nobody.invalid"] == names.resolve("nobody.invalid") == []


def test_a_name_server_that_is_away_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "TIMEOUT", 0.1)
    monkeypatch.setattr(names, "_look", lambda _name: time.sleep(5))
    assert names.resolve("slow.example") == []
