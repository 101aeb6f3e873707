"""prepare-database: other nodes get in, each to its own database, and nobody else does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.nodes import here
from backendai_ctl.site.load import parse
from backendai_ctl.steps import prepare_database, units
from backendai_ctl.steps.prepare_database import STEP
from backendai_ctl.system import systemd

SITE = """\
[site]
address = "ai.example.org"
[nodes.mgmt]
address = "10.77.0.1"
roles = ["management", "storage"]
[nodes.gpu1]
address = "10.77.0.11"
roles = ["compute"]
"""
SECOND = """
[nodes.mgmt2]
address = "10.77.0.5"
roles = ["management"]
[nodes.edge]
address = "fd00::21"
roles = ["edge"]
"""


class Server:
    """As much of PostgreSQL as the step asks."""

    def __init__(self, folder: Path, version: int = 170002) -> None:
        self.folder, self.version = folder, version
        self.listening, self.calls = "localhost", list[str]()

    def psql(self, _ctx: Context, sql: str, _database: str = "postgres") -> str:
        self.calls.append(sql)
        if "config_file" in sql:
            return f"{self.folder / 'postgresql.conf'}\n{self.version}\n"
        return f"{self.listening}\n" if "listen_addresses" in sql else ""

    def systemctl(self, *words: str, **_: object) -> str:
        self.calls.append(" ".join(words))
        if words[0] != "restart":
            return ""
        for line in (self.folder / "conf.d/backendai.conf").read_text().splitlines():
            if line.startswith("listen_addresses"):
                self.listening = line.split("'")[1]
        return ""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    folder = tmp_path / "main"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "pg_hba.conf").write_text("local all all peer\n")
    made = Server(folder)
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(prepare_database, "psql", made.psql)
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", made.systemctl)
    monkeypatch.setattr(prepare_database, "run", lambda *_, **__: _Done())
    return made


class _Done:
    returncode = 0


@pytest.fixture
def mgmt(facts: Facts) -> Callable[[str], Context]:
    def make(more: str = "") -> Context:
        facts.paths.site_file.write_text(SITE + more)
        here.name_file(facts).write_text("mgmt\n")
        return here.context(facts, parse(facts.paths.site_file, SITE + more, facts, node="mgmt"))

    return make


def test_nothing_is_touched_while_only_this_node_needs_it(
    mgmt: Callable[..., Context], server: Server, ctx: Context
) -> None:
    for known in (mgmt(), ctx):
        assert STEP.check(known) == []
        STEP.apply(known)
        STEP.undo(known)
    assert server.calls == []


def test_each_node_gets_to_its_own_databases_and_a_second_run_does_nothing(
    mgmt: Callable[..., Context], server: Server
) -> None:
    known = mgmt(SECOND)
    assert len(STEP.check(known)) == 3
    STEP.apply(known)
    assert STEP.check(known) == []
    rules = server.folder / "backendai_hba.conf"
    assert rules.stat().st_mode & 0o777 == 0o640
    lines = rules.read_text().splitlines()[1:]
    assert lines == [
        f'include "{server.folder / "pg_hba.conf"}"',
        'host "backendai" "backendai" "10.77.0.5/32" scram-sha-256',
        'host "backendai_appproxy" "backendai_appproxy" "fd00::21/128" scram-sha-256',
    ]
    assert server.listening == "localhost,10.77.0.1"
    restarts = server.calls.count("restart postgresql.service")
    STEP.apply(known)
    assert server.calls.count("restart postgresql.service") == restarts == 1


def test_rules_that_change_need_no_restart(mgmt: Callable[..., Context], server: Server) -> None:
    STEP.apply(mgmt(SECOND))
    server.calls.clear()
    third = SECOND + '[nodes.mgmt3]\naddress = "10.77.0.6"\nroles = ["management"]\n'
    assert [change.how for change in STEP.check(mgmt(third))] == ["write it"]
    STEP.apply(mgmt(third))
    assert "SELECT pg_reload_conf();" in server.calls
    assert "restart postgresql.service" not in server.calls


def test_a_server_too_old_to_be_added_to_is_said(
    mgmt: Callable[..., Context], server: Server
) -> None:
    server.version = 150004
    with pytest.raises(Problem, match="older than 16") as wrong:
        STEP.check(mgmt(SECOND))
    assert 'mode = "external"' in wrong.value.hint


def test_undo_takes_its_files_back(mgmt: Callable[..., Context], server: Server) -> None:
    known = mgmt(SECOND)
    STEP.apply(known)
    STEP.undo(known)
    assert [path.name for path in server.folder.rglob("*") if path.is_file()] == ["pg_hba.conf"]
    assert (server.folder / "conf.d").is_dir(), "PostgreSQL does not start without it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("planted", ["conf.d", "backendai_hba.conf", "pg_hba.conf"])
def test_links_of_postgresql_lead_root_nowhere(
    mgmt: Callable[..., Context], server: Server, tmp_path: Path, planted: str
) -> None:
    """Its folder of settings is its user's, who could have root write into one of the host's."""
    host = tmp_path / "apt.conf.d"
    host.mkdir()
    (host / "kept").write_text("kept")
    where = server.folder / planted
    where.rmdir() if where.is_dir() else where.unlink(missing_ok=True)
    where.symlink_to(host if planted == "conf.d" else host / "kept")
    for path in (server.folder, where, server.folder / "pg_hba.conf"):
        os.chown(path, 54321, 54321, follow_symlinks=False)
    if planted == "conf.d":
        with pytest.raises(Problem, match="others than root"):
            STEP.apply(mgmt(SECOND))
    else:
        STEP.apply(mgmt(SECOND))
        rules = server.folder / "backendai_hba.conf"
        assert not rules.is_symlink() and rules.stat().st_uid == 54321
    assert [path.name for path in host.iterdir()] == ["kept"]
    assert ((host / "kept").read_text(), (host / "kept").stat().st_uid) == ("kept", 0)


def test_words_of_the_rules_are_names_in_them(mgmt: Callable[..., Context], server: Server) -> None:
    """A node that is called "all" lets in no other host, a role of that name no other role."""
    more = SECOND.replace('"10.77.0.5"', '"all"') + '[database.manager]\nuser = "all"\n'
    STEP.apply(mgmt(more))
    rules = (server.folder / "backendai_hba.conf").read_text().splitlines()
    assert 'host "backendai" "all" "all" scram-sha-256' in rules
    assert not [line for line in rules if line.startswith("host") and " all" in line]
