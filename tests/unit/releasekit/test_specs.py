"""What a rule writes is what its program reads, and nothing else is taken for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from releasekit import specs
from releasekit.errors import Failure


@dataclass(frozen=True)
class Part:
    name: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    name: str
    mtime: int
    files: dict[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    by_name: Mapping[str, list[Part]] = field(default_factory=dict)


def test_a_specification_comes_back_as_it_was(tmp_path: Path) -> None:
    part = Part("p", ("q", "r"))
    spec = Spec("a", 7, {"b": "c"}, (part, Part("s")), {"t": [part]})
    (tmp_path / "spec.json").write_text(specs.text(spec))
    assert specs.read(Spec, tmp_path / "spec.json") == spec
    assert isinstance(specs.read(Spec, tmp_path / "spec.json").parts[0].needs, tuple)


def test_the_same_values_are_the_same_text() -> None:
    one, other = Spec("a", 7, {"b": "1", "c": "2"}), Spec("a", 7, {"c": "2", "b": "1"})
    assert specs.text(one) == specs.text(other)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "a"}',
        '{"name": "a", "mtime": 7, "more": 1}',
        '{"name": "a", "mtime": 7, "parts": [{"more": 1}]}',
    ],
)
def test_another_ones_specification_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(Failure, match=r"spec\.json: .*(mtime|more)"):
        specs.read(Spec, path)


def test_a_program_does_its_work_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, done = tmp_path / "spec.json", list[Spec]()
    path.write_text(specs.text(Spec("a", 7)))
    monkeypatch.setattr(sys, "argv", ["x", str(path)])
    assert specs.program(Spec, done.append)() == 0
    assert done == [Spec("a", 7)]


def test_a_program_says_how_it_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_spec: Spec) -> None: ...

    monkeypatch.setattr(sys, "argv", ["x"])
    assert specs.program(Spec, work)() == 2
    assert capsys.readouterr().err.endswith("test_specs SPEC.json\n")
