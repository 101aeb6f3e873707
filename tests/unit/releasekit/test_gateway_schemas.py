from __future__ import annotations

import sys
from pathlib import Path

import pytest

from releasekit import gateway_schemas
from releasekit.errors import Failure
from releasekit.gateway_schemas import SCHEMAS

# Stands in for the manager's PEX: writes its options and environment where it is told to.
MANAGER = """\
import os, sys
options, target = sys.argv[1:-2], sys.argv[-1]
assert options[:3] == ["mgr", "api", "dump-gql-schema"], options
open(target, "w").write(" ".join(["type", *options[3:], os.environ["HOME"], *sorted(os.environ)]))
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gateway_schemas", "manager.pex"])
    return tmp_path / "manager.pex"


def test_all_three_schemas_are_dumped(call: Path) -> None:
    call.write_text(MANAGER)
    assert gateway_schemas.main() == 0
    for name, options in SCHEMAS.items():
        text = Path(f"schemas/{name}.graphql").read_text()
        assert text.startswith(" ".join(["type", *options]))


def test_the_manager_sees_nothing_of_the_builder(
    call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKEND_ENDPOINT", "https://builder")
    call.write_text(MANAGER)
    gateway_schemas.main()
    text = Path("schemas/graphene.graphql").read_text()
    assert "BACKEND_ENDPOINT" not in text
    assert str(call.parent / "home") in text


@pytest.mark.parametrize(
    "script", ["import sys; print('no such table'); sys.exit(3)", "print('no such table')"]
)
def test_a_manager_that_fails_or_writes_nothing_is_shown(call: Path, script: str) -> None:
    call.write_text(script)
    with pytest.raises(
        Failure, match=r"did not dump its graphene schema \(exit \d\):\nno such table"
    ):
        gateway_schemas.main()


def test_a_wrong_call_shows_the_usage(
    call: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gateway_schemas"])
    assert gateway_schemas.main() == 2
    assert "usage:" in capsys.readouterr().err
