"""backendai-ctl node: what it prints, what it refuses, and plans without effect."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from site_nodes import as_node, site_of

from backendai_ctl.cli import node as cli
from backendai_ctl.cli import output
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest
from backendai_ctl.facts import Facts
from backendai_ctl.firewall import loaded
from backendai_ctl.nodes import announced, hosts
from backendai_ctl.nodes.announced import Told
from backendai_ctl.steps import create_certificates, create_rpc_keypair, create_secrets
from backendai_ctl.topology import here

SITE = (
    site_of(mgmt="10.77.0.1 management storage", gpu1="10.77.0.11 compute") + 'labels = ["a100"]\n'
)


@pytest.fixture
def mgmt(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> Context:
    """The node that exports, set up as far as exports need."""
    monkeypatch.setattr(cli, "need_root", lambda: None)
    ctx = as_node(facts, "mgmt", SITE)
    for step in (
        create_secrets.CreateSecrets(),
        create_certificates.CreateCertificates(),
        create_rpc_keypair.CreateRpcKeypair(),
    ):
        step.apply(ctx)
    return ctx


@pytest.fixture
def bare(facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """The facts that a command finds on a host that is no node yet."""
    made = replace(facts, paths=replace(facts.paths, config=tmp_path / "bare"))
    monkeypatch.setattr(here, "host_name", lambda: "bare")
    monkeypatch.setattr(cli.facts, "load", lambda: made)
    return made


def run(host: Context | None, *words: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(cli.command, words, obj=host, input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def data(host: Context | None, *words: str) -> Any:
    return json.loads(run(host, *words, "--json").stdout)


def exported(mgmt: Context, tmp_path: Path) -> tuple[str, str]:
    """A sealed file for gpu1 and one with its passphrase."""
    file, passphrase = tmp_path / "gpu1.node", tmp_path / "passphrase"
    passphrase.write_text(data(mgmt, "export", "gpu1", "--output", str(file))["passphrase"])
    return str(file), str(passphrase)


def test_list_says_what_and_how_the_nodes_are(
    mgmt: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = announced.mine(mgmt)
    monkeypatch.setattr(announced, "told", lambda _: {"mgmt": mine, "gpu1": Told("x", "1-1")})
    shown = data(mgmt, "list")
    assert shown["here"] == "mgmt"
    first, second = shown["nodes"]
    assert (first["here"], first["ok"], first["message"]) == (True, True, "")
    assert second["components"] == ["agent"] and second["labels"] == ["a100"]
    assert (
        "site file is not the one of mgmt; has release 1-1" in second["message"]
        and not second["ok"]
    )
    assert "mgmt (here)" in run(mgmt, "list").stdout


def test_list_does_without_the_cache(mgmt: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Context) -> None:
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(announced, "told", away)
    assert {row["ok"] for row in data(mgmt, "list")["nodes"]} == {None}


def test_a_single_host_has_no_nodes(ctx: Context) -> None:
    assert run(ctx, "list").stdout == "This site is a single host.\n"
    assert data(ctx, "list") == {"ok": True, "errors": [], "here": "", "nodes": []}


def test_an_export_is_for_the_owner_alone_and_shows_no_secret(
    mgmt: Context, tmp_path: Path
) -> None:
    file = tmp_path / "gpu1.node"
    planned = data(mgmt, "export", "gpu1", "--output", str(file), "--dry-run")
    assert "passphrase" not in planned and not file.exists()
    said = run(mgmt, "export", "gpu1", "--output", str(file)).stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Passphrase, shown this once:" in said
    for name in filter(Path.is_file, mgmt.paths.secrets.rglob("*")):
        assert name.read_text().strip() not in said + file.read_text()


def test_a_given_passphrase_is_not_shown(mgmt: Context, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("a passphrase that somebody chose\n")
    words = ("export", "gpu1", "--output", str(tmp_path / "f"), "--passphrase-file", str(given))
    assert "passphrase" not in data(mgmt, *words)
    given.write_text("\n")
    with pytest.raises(BadRequest, match="no passphrase in it"):
        run(mgmt, *words)


def test_a_join_is_planned_then_written(mgmt: Context, bare: Facts, tmp_path: Path) -> None:
    file, passphrase = exported(mgmt, tmp_path)
    words = ("join", file, "--passphrase-file", passphrase)
    planned = data(None, *words, "--dry-run")
    assert str(bare.paths.site_file) in [change["what"] for change in planned["changes"]]
    assert not bare.paths.config.exists()
    run(None, *words, "--no-reconfigure")
    assert here.name_file(bare).read_text() == "gpu1\n"
    assert run(None, *words, "--no-reconfigure").stdout == "Nothing to do.\n"


def test_a_passphrase_may_come_by_standard_input_and_never_silently(
    mgmt: Context, bare: Facts, tmp_path: Path
) -> None:
    file, passphrase = exported(mgmt, tmp_path)
    with pytest.raises(BadRequest, match="passphrase is missing"):
        run(None, "join", file)
    words = ("join", file, "--passphrase-file", "-", "--dry-run")
    with pytest.raises(BadRequest, match="not this file's"):
        run(None, *words, stdin="wrong\n")
    assert run(None, *words, stdin=Path(passphrase).read_text()).exit_code == 0


def test_what_is_no_sealed_file_is_refused(bare: Facts, tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe", b"[site]\n"):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(BadRequest):
            run(None, "join", str(tmp_path / "f"), "--passphrase-file", "-", stdin="x\n")
    assert not bare.paths.config.exists()


def test_rules_are_shown_and_applied_only_on_request(
    mgmt: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(loaded, "load", lambda _, of_nodes: done.append(f"load {of_nodes}"))
    monkeypatch.setattr(loaded, "unload", lambda _: done.append("unload"))
    monkeypatch.setattr(announced, "tell", lambda _: True)
    assert "10.77.0.11" in data(mgmt, "firewall")["rules"]
    run(mgmt, "firewall", "--apply", "--dry-run")
    assert done == []
    run(mgmt, "firewall", "--apply")
    assert data(mgmt, "firewall", "--remove")["rules"] == ""
    assert done == ["load True", "unload"]
    with pytest.raises(BadRequest, match="exclude each other"):
        run(mgmt, "firewall", "--apply", "--remove")


def test_list_warns_of_nodes_without_rules_of_nodes(
    mgmt: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = announced.mine(mgmt)
    assert mine.firewall is False
    said = {
        "mgmt": replace(mine, firewall=True),
        "gpu1": mine,
    }
    monkeypatch.setattr(announced, "told", lambda _ctx: said)
    rows = {row["name"]: row["firewall"] for row in data(mgmt, "list")["nodes"]}
    assert rows == {"mgmt": True, "gpu1": False}
    shown = run(mgmt, "list").output
    assert "the firewall of nodes is not loaded on: gpu1\n" in shown
    assert "backendai-ctl node firewall --apply" in " ".join(shown.split())


def test_lines_for_etc_hosts_are_written_only_on_request(
    mgmt: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n")
    for name in ("changed", "write"):
        monkeypatch.setattr(hosts, name, partial(getattr(hosts, name), file=file))
    assert "10.77.0.11\tgpu1" in data(mgmt, "hosts")["lines"]
    assert data(mgmt, "hosts", "--apply", "--dry-run")["changed"]
    assert "gpu1" not in file.read_text()
    run(mgmt, "hosts", "--apply")
    assert "10.77.0.11\tgpu1" in file.read_text()
    assert not data(mgmt, "hosts", "--apply")["changed"]
    run(mgmt, "hosts", "--remove")
    assert file.read_text() == "127.0.0.1 localhost\n"
    with pytest.raises(BadRequest, match="exclude each other"):
        run(mgmt, "hosts", "--apply", "--remove")


def test_everything_that_writes_needs_root(mgmt: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "need_root", output.need_root)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for words in (("export", "gpu1"), ("firewall", "--apply"), ("hosts", "--apply")):
        with pytest.raises(Exception, match="needs root"):
            run(mgmt, *words)


@pytest.mark.parametrize("node", ["\x1b]0;mgmt\x07", "gpu1\nPassphrase of mgmt", "", 3, None])
def test_nothing_of_a_file_is_shown_before_it_is_proved(
    mgmt: Context, tmp_path: Path, node: object
) -> None:
    file, passphrase = exported(mgmt, tmp_path)
    first, header, content = Path(file).read_text().splitlines()
    changed = json.dumps({**json.loads(header), "node": node})
    Path(file).write_text(f"{first}\n{changed}\n{content}\n")
    with pytest.raises(BadRequest, match="its header is damaged") as told:
        run(None, "join", file, "--passphrase-file", passphrase)
    assert "mgmt" not in told.value.message
    Path(file).write_text("backendai-node \x1b[2J\nx\ny\n")
    with pytest.raises(BadRequest, match="another version") as told:
        run(None, "join", file, "--passphrase-file", passphrase)
    assert "\x1b" not in told.value.message


def test_a_passphrase_that_could_be_guessed_is_refused(mgmt: Context, tmp_path: Path) -> None:
    given, file = tmp_path / "given", tmp_path / "f"
    given.write_text("fifteen letters\n")
    words = ("export", "gpu1", "--output", str(file), "--passphrase-file", str(given))
    with pytest.raises(BadRequest, match="less than 16 characters"):
        run(mgmt, *words)
    assert not file.exists()
    given.write_text("sixteen letters!\n")
    assert run(mgmt, *words).exit_code == 0
