"""Completion knows every word of the commands, and starts nothing of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import declared
import pytest

from backendai_ctl.cli import completion
from backendai_ctl.cli.main import NOUNS
from backendai_ctl.facts import Facts
from backendai_ctl.steps.plan import steps

FOLDER = Path(__file__).resolve().parents[4] / "packaging/ctl"
SCRIPTS = {"completion.bash": completion.bash(), "completion.zsh": completion.zsh()}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with two services and a site of two nodes; /usr/lib/systemd and /etc are below it.

    So are the facts of components, as packages bring them.
    """
    made = tmp_path / "host"  # facts have folders of the same names
    (made / "components").mkdir(parents=True)
    for name, row in declared.rows()["component_facts"].items():
        (made / "components" / f"{name}.json").write_text(json.dumps(row, indent=1))
    units = made / "units"
    units.mkdir()
    for name in ("manager", "node-exporter", "reconfigure", "nft-watch"):
        (units / f"backendai-{name}.service").touch()
    site = '[nodes.one]\nroles = []\n[nodes."$(touch here)"]\n[nodes.two]\n[storage.volumes.home]\n'
    (made / "site.toml").write_text(site)
    return made


def complete(host: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words after `backendai-ctl`."""
    script = SCRIPTS["completion.bash"].replace("/usr/lib/systemd/system", str(host / "units"))
    script = script.replace("/etc/backendai/site.toml", str(host / "site.toml"))
    script = script.replace("/usr/share/backendai/components", str(host / "components"))
    call = f"""{script}
backendai-ctl() {{ echo it was started >&2; }}
COMP_WORDS=(backendai-ctl "$@") COMP_CWORD=$#
_backendai_ctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    argv = ["bash", "--norc", "-c", call, "bash", *words]
    done = subprocess.run(argv, cwd=host, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_written_script_is_current(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == SCRIPTS[name], "run scripts/write-reference"


def test_the_first_word_is_one_of_the_commands(host: Path) -> None:
    options = ["--version", "--debug", "-h", "--help"]
    assert complete(host, "") == [*(noun for noun in NOUNS if noun != "hook"), *options]
    assert complete(host, "re") == ["restart", "reconfigure"]
    assert complete(host, "--debug", "st") == ["status", "start", "stop", "storage"]


def test_verbs_and_options_follow(host: Path) -> None:
    assert complete(host, "db", "") == ["backup", "migrate", "restore", "status", "--help"]
    assert complete(host, "db", "mi") == ["migrate"]
    assert complete(host, "db", "migrate", "--d") == ["--dry-run", "--database"]
    assert complete(host, "db", "migrate", "--dry-run", "--da") == ["--database"]


def test_values_follow_their_options(host: Path, facts: Facts) -> None:
    databases = [database.name for database in facts.databases()]
    assert sorted(complete(host, "db", "migrate", "--database", "")) == sorted(databases)
    named = [step.name for step in steps(facts)]
    assert sorted(complete(host, "reconfigure", "--only", "")) == sorted(named)
    assert complete(host, "doctor", "--sign", "") == [], "a file: readline offers those"


def test_names_are_those_of_the_host(host: Path) -> None:
    assert complete(host, "restart", "m") == ["manager"]
    assert sorted(complete(host, "logs", "-f", "")[-2:]) == ["manager", "node-exporter"]
    assert complete(host, "storage", "mount", "h") == ["home"]
    assert complete(host, "node", "export", "t") == ["two"]


def test_no_name_is_run_as_a_command(host: Path) -> None:
    assert complete(host, "node", "export", "")[-2:] == ["one", "two"]
    assert not (host / "here").exists()


def test_without_a_site_file_there_are_no_names(host: Path) -> None:
    (host / "site.toml").unlink()
    assert complete(host, "node", "export", "o") == []


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    argv = ["shellcheck", "--shell=bash", str(FOLDER / "completion.bash")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed (apt install zsh)")
def test_zsh_can_read_it() -> None:
    argv = ["zsh", "--no-exec", str(FOLDER / "completion.zsh")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_zsh_is_told_what_words_are_for() -> None:
    script = SCRIPTS["completion.zsh"]
    assert script.startswith("#compdef backendai-ctl\n")
    assert "'restart:Restart services'" in script
    assert "'--json:Print JSON, for programs'" in script
    assert "'admin:The administrator'\\''s password and address'" in script
