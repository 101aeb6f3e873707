"""config show, diff and check."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner, Result
from declared import GENERATED

from backendai_ctl import facts as facts_module
from backendai_ctl.cli.config import command
from backendai_ctl.context import Context
from backendai_ctl.steps.render_configs import RenderConfigs

STEP = RenderConfigs()

pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
def installed(ready: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(facts_module, "load", lambda: ready.facts)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    return ready


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words)


def test_show_tells_values_where_they_come_from_and_the_files(ready: Context) -> None:
    ready.paths.site_file.write_text('[site]\nname = "Lab"\n')
    data = json.loads(run("show", "--json").output)
    assert data["site"]["site"] == {"name": "Lab", "address": "localhost"}
    assert data["given"] == ["site.name"]
    assert data["files"]["manager"] == str(ready.paths.config / "manager.toml")
    text = run("show").output
    assert any(line.split() == ["site.name", '"Lab"', "site", "file"] for line in text.splitlines())
    assert any(line.split() == ["database.port", "8100", "default"] for line in text.splitlines())


def test_diff_tells_edits_and_changes_without_secrets(ready: Context) -> None:
    STEP.apply(ready)
    assert run("diff").output == "No edits of yours, nothing to change.\n"
    path = ready.paths.config / "manager.toml"
    path.write_text(path.read_text().replace("num-proc = 1 ", "num-proc = 2 "))
    ready.paths.site_file.write_text("[network.ports.manager]\napi = 9000\n")
    ready.secrets.path("database-manager").write_text("another one\n")
    result = run("diff")
    assert f"{path}\n  kept, your edit:  manager.num-proc: 1 -> 2\n" in result.output
    assert "  will change:      manager.service-addr.port: 8081 -> 9000\n" in result.output
    assert "  will change:      db.password: (hidden) -> (hidden)\n" in result.output
    data = json.loads(run("diff", "--json").output)
    assert data["files"][str(path)]["your_edits"] == [
        {"key": "manager.num-proc", "from": "1", "to": "2"}
    ]
    told = result.output + json.dumps(data)
    assert not any(ready.secrets.get(name) in told for name in GENERATED)


def test_check_finds_nothing(ready: Context) -> None:
    STEP.apply(ready)
    result = run("check")
    assert result.exit_code == 0
    assert result.output == f"{ready.paths.site_file} and the services' files are good.\n"
    assert json.loads(run("check", "--json").output)["errors"] == []


def test_check_finds_faults_of_the_site_file(ready: Context) -> None:
    ready.paths.site_file.write_text('[site]\nnmae = "x"\n')
    result = run("check")
    assert result.exit_code == 2
    assert f"{ready.paths.site_file}:2: site.nmae: unknown key; did you mean" in result.output
    (fault,) = json.loads(run("check", "--json").output)["errors"]
    assert (fault["line"], fault["key"]) == (2, "site.nmae")
    assert fault["file"] == str(ready.paths.site_file) and fault["message"] and fault["hint"]


def test_check_finds_a_broken_file_of_a_service(ready: Context) -> None:
    STEP.apply(ready)
    path = ready.paths.config / "gateway.json"
    path.write_text('{"port": }')
    result = run("check")
    assert result.exit_code == 1
    assert f"{path}:1: not JSON" in result.output
