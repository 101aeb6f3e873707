"""What is wrong with the rules in the kernel is seen by what nft shows of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.firewall import loaded, ruleset
from backendai_ctl.platform import files, units
from backendai_ctl.platform.run import Done

NO_TABLE = Done(1, "", "Error: No such file or directory")


@pytest.fixture
def kernel(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Done]:
    """What nft shows (the last); rules were made, loaded and noted."""
    rules = ruleset.text(ctx, of_nodes=False)
    ruleset.path(ctx).write_text(rules)
    shown = f"table inet backendai {{ set {ruleset.fingerprint(rules)} {{ }} }}\n"
    note = tmp_path / "loaded"
    note.write_text(shown)
    answers = [Done(0, shown, "")]
    monkeypatch.setattr(loaded, "NOTE", note)
    monkeypatch.setattr(loaded, "run", lambda _call, timeout: answers[-1])
    return answers


def test_what_was_loaded_is_fine(ctx: Context, kernel: list[Done]) -> None:
    assert loaded.amiss(ctx) == ""


def test_a_table_that_is_gone(ctx: Context, kernel: list[Done]) -> None:
    kernel.append(NO_TABLE)
    assert loaded.amiss(ctx) == "the kernel has no table inet backendai"


def test_rules_that_were_taken_out_of_it(ctx: Context, kernel: list[Done]) -> None:
    kernel.append(Done(0, kernel[0].stdout.replace("}", "} chain x { }"), ""))
    assert "were changed" in loaded.amiss(ctx)


def test_rules_of_another_file(ctx: Context, kernel: list[Done]) -> None:
    ruleset.path(ctx).write_text("# not loaded yet\n  set made_from_0123456789abcdef {\n")
    assert "other rules than" in loaded.amiss(ctx)


def test_no_rules(ctx: Context, kernel: list[Done]) -> None:
    ruleset.path(ctx).unlink()
    assert loaded.amiss(ctx) == "no rules were made"


@pytest.mark.parametrize(
    ("line", "may"), [("000001ffffffffff", True), ("000001fffeffefff", False), ("0", False)]
)
def test_looking_needs_a_capability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, may: bool
) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t{line}\n")
    monkeypatch.setattr(loaded, "STATUS", status)
    assert loaded.may_look() is may


def test_units_are_ours_and_come_after_those_who_empty_the_ruleset(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "FOLDER", tmp_path)
    _, *made = loaded.wanted(ctx, of_nodes=False)
    texts = {file.path.name: file.text for file in made}
    assert set(texts) == {loaded.UNIT, loaded.WATCH, loaded.TIMER}
    assert all(text.startswith(files.OURS) for text in texts.values()), "a purge finds them by it"
    for setting in ("After=", "ReloadPropagatedFrom="):
        assert f"{setting}nftables.service firewalld.service" in texts[loaded.UNIT]
    assert "WantedBy=nftables.service firewalld.service" in texts[loaded.WATCH]
    assert f"--file {ruleset.path(ctx)}" in texts[loaded.UNIT]


def test_no_unit_has_the_name_by_which_an_earlier_release_tells_that_it_was_asked(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """26.9.6-1 takes it away from a single host, and loads rules of nodes elsewhere."""
    monkeypatch.setattr(units, "FOLDER", tmp_path)
    assert loaded.EARLIER not in {file.path.name for file in loaded.wanted(ctx, of_nodes=False)}


@pytest.mark.parametrize("missing", ["rules", "program"])
def test_the_watch_ends_where_there_is_nothing_to_hold(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The rules went with an earlier release, or the packages did."""
    program, rules = tmp_path / "backendai-ctl", ruleset.path(ctx)
    program.symlink_to("/nonexistent")  # as in the middle of an upgrade
    rules.touch()
    texts = {file.path.name: file.text for file in loaded.wanted(ctx, of_nodes=False)[1:]}
    for condition in (f"PathExists={rules}", "PathIsSymbolicLink=/usr/bin/backendai-ctl"):
        assert f"Condition{condition}\n" in texts[loaded.TIMER]
    for condition in (f"PathExists={rules}", f"FileIsExecutable={loaded.nft(ctx)}"):
        assert f"Condition{condition}\n" in texts[loaded.UNIT], "no failure at boot"
    started = re.search(r"ExecStart=/bin/sh -c '(.*?)'\n", texts[loaded.WATCH], re.DOTALL)
    assert started
    call = started[1].replace("\\\n", "").replace("$$", "$")
    call = call.replace("/usr/bin/backendai-ctl", str(program)).replace(
        str(loaded.nft(ctx)), "false"
    )
    calls = tmp_path / "calls"
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n')
    systemctl.chmod(0o755)

    def look() -> str:
        subprocess.run(["/bin/sh", "-c", call], env={"PATH": f"{tmp_path}:/bin"}, check=True)
        return calls.read_text().splitlines()[-1]

    assert look() == f"reload-or-restart {loaded.UNIT}"
    (rules if missing == "rules" else program).unlink()
    assert look() == f"stop {loaded.TIMER}"
