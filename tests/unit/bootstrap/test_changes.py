"""What lock scripts share: which packages they renew, and what they say of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bootstrap.changes import finish, kept, what_to_renew
from releasekit.errors import Failure
from releasekit.files import Entry

LOCKED = {"aiohttp": 1, "click": 2}


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    what_to_renew(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "stay"),
    [
        ((), ["aiohttp", "click"]),
        (("--only", "click"), ["aiohttp"]),
        (("--only", "click", "--only", "aiohttp"), []),
        (("--newest",), []),
    ],
)
def test_what_is_locked_stays_unless_it_is_asked_for(words: list[str], stay: list[str]) -> None:
    assert sorted(kept(options(*words), LOCKED)) == stay


def test_an_unknown_name_is_refused_with_a_near_one() -> None:
    with pytest.raises(Failure, match="the lock has no aiohtp") as caught:
        kept(options("--only", "aiohtp"), LOCKED)
    assert caught.value.hint == "did you mean aiohttp?"


@pytest.mark.parametrize(("words", "written"), [([], True), (["--check"], False)])
def test_a_check_tells_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], written: bool
) -> None:
    path = tmp_path / "python.lock"
    old, new = ({"a": Entry(v, f"a-{v}.whl", v * 64, 1)} for v in "12")
    assert finish(options(*words), path, {"about": "x"}, old, new) == 0
    assert path.exists() is written
    assert "a 1 -> 2" in capsys.readouterr().out
