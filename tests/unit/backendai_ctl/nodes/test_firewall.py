"""Rules of the firewall follow the listeners of the node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.nodes import firewall
from backendai_ctl.steps import units
from backendai_ctl.system import systemd
from backendai_ctl.system.run import Done

At = Callable[..., Context]


def test_a_compute_node_is_open_to_nodes_alone(at: At) -> None:
    text = firewall.text(at("gpu1"))
    assert "elements = { 10.77.0.1/32, 10.77.0.11/32, 10.77.0.12/32, 10.77.0.2/32 }" in text
    assert "tcp dport { 6001, 30000-31000 } drop" in text
    assert "@users4" not in text


def test_users_reach_what_is_theirs(at: At) -> None:
    text = firewall.text(at("mgmt"))
    assert "elements = { 192.0.2.0/24 }" in text
    assert "tcp dport { 8090, 10200, 10201, 10205-10300 } ip saddr @users4 accept" in text
    closed = next(line for line in text.splitlines() if line.endswith("drop"))
    assert "2379" in closed and "6379" in closed and "5432" not in closed


def test_it_is_a_table_of_its_own_that_is_replaced_whole(at: At) -> None:
    lines = firewall.text(at("mgmt")).splitlines()
    assert lines[1:4] == [
        "table inet backendai",
        "delete table inet backendai",
        "table inet backendai {",
    ]
    assert "flush ruleset" not in lines


@pytest.mark.parametrize("booted", [True, False])
def test_files_are_written_once_nft_has_taken_the_rules(
    at: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, booted: bool
) -> None:
    """A run that is killed in between finds them to differ, and loads the rules again."""
    ctx = at("gpu1")
    answers = [Done(1, "", "no such kernel"), Done(0, "", "")]
    asked: list[tuple[list[str], str]] = []
    told: list[tuple[str, ...]] = []

    def nft(call: list[str], *, stdin: str) -> Done:
        asked.append((call[1:], stdin))
        return answers.pop(0)

    monkeypatch.setattr(firewall, "NFT", "/bin/sh")
    monkeypatch.setattr(firewall, "run", nft)
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: booted)
    monkeypatch.setattr(systemd, "systemctl", lambda *words: told.append(words))
    with pytest.raises(Problem, match="nft refused the rules: no such kernel"):
        firewall.apply(ctx)
    assert not firewall.asked_for() and told == []
    firewall.apply(ctx)
    assert firewall.asked_for() and all(file.same for file in firewall.wanted(ctx))
    assert ("--no-reload", "enable", firewall.UNIT) in told
    assert (("start", firewall.UNIT) in told) is booted
    how = ["--file", "-"] if booted else ["--check", "--file", "-"]
    assert asked == [(how, firewall.text(ctx))] * 2


def test_names_and_single_hosts_are_refused(at: At, ctx: Context) -> None:
    with pytest.raises(BadRequest, match="has no nodes"):
        firewall.text(ctx)
    named = at("gpu1", '\n[nodes.far]\naddress = "far.example.org"\nroles = ["compute"]\n')
    with pytest.raises(BadRequest, match=r"far\.example\.org is a name"):
        firewall.text(named)
