from __future__ import annotations

from pathlib import Path

import pytest

from backendai_serve.__main__ import is_python, parse


def test_the_command_follows_two_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKENDAI_HEALTH", raising=False)
    assert parse(["--health", "http://x/", "--", "/bin/x", "-f", "y"]) == (
        "http://x/",
        ["/bin/x", "-f", "y"],
    )
    assert parse(["--", "/bin/x"]) == ("", ["/bin/x"])


@pytest.mark.parametrize("argv", [[], ["--"], ["--health"], ["/bin/x"], ["--health", "u", "x"]])
def test_anything_else_is_a_wrong_call(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(argv)
    assert "usage:" in capsys.readouterr().err


def test_scripts_are_told_by_their_first_line(tmp_path: Path) -> None:
    script = tmp_path / "x"
    script.write_bytes(b"#!/opt/backendai/26.9.6/bin/python -I\n")
    assert is_python(str(script))
    script.write_bytes(b"\x7fELF python")
    assert not is_python(str(script))
