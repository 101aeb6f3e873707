"""backendai-ctl etcd: what it prints, its exit codes, and no secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_etcd import FakeEtcd

from backendai_ctl.cli import etcd as cli
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_FAILED, EXIT_PENDING
from backendai_ctl.etcd import users

KEY = "/sorna/local/volumes/exposed_volume_info"


@pytest.fixture
def host(there: Context, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Root at a host whose etcd wants a login."""
    monkeypatch.setattr(cli, "need_root", lambda: None)
    users.create(there)
    return there


def run(host: Context, *words: str) -> Result:
    result = CliRunner().invoke(cli.command, words, obj=host)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def data(host: Context, *words: str) -> Any:
    return json.loads(run(host, *words, "--json").stdout)


def test_status_before_and_after_seeding(host: Context) -> None:
    result = run(host, "status")
    assert result.exit_code == EXIT_PENDING
    assert "11 to change" in result.stdout
    run(host, "seed")
    result = run(host, "status")
    assert result.exit_code == 0
    said = data(host, "status")
    assert (said["login"], said["settings"], said["base"]) == ("wanted", "seeded", "11 keys")
    assert (said["ok"], said["members"][0]["ok"]) == (True, True)


def test_status_of_an_open_etcd_is_a_fault(host: Context, etcd: FakeEtcd) -> None:
    run(host, "seed")
    etcd.auth = False
    result = run(host, "status")
    assert result.exit_code == EXIT_FAILED
    assert "not wanted" in result.stdout


def test_status_of_a_dead_member(host: Context, free_port: int) -> None:
    run(host, "seed")
    host.site.etcd.endpoints.append(f"127.0.0.1:{free_port}")
    result = run(host, "status")
    assert result.exit_code == EXIT_FAILED
    assert "connection refused" in result.stdout


def test_a_plan_says_what_it_would_do_and_does_not(host: Context, etcd: FakeEtcd) -> None:
    before = etcd.revision
    said = data(host, "seed", "--dry-run")
    assert said.pop("dry_run") and len(said["changes"]) == 11
    assert data(host, "diff") == said
    assert etcd.revision == before


def test_edits_are_shown_taken_back_and_undone(host: Context, etcd: FakeEtcd) -> None:
    run(host, "seed")
    etcd.put(KEY, "used")
    shown = [{"what": "volumes/exposed_volume_info", "how": "percentage -> used"}]
    said = data(host, "seed")
    assert (said["changes"], said["kept"], said["dry_run"]) == ([], shown, False)
    assert "yours     volumes/exposed_volume_info: percentage -> used" in run(host, "diff").stdout
    assert data(host, "status")["kept"] == shown
    taken = data(host, "seed", "--take", "volumes/exposed_volume_info")
    (change,) = taken["changes"]
    assert change == {"what": "volumes/exposed_volume_info", "how": "used -> percentage"}
    assert data(host, "undo", "--dry-run")["changes"] == shown
    assert data(host, "undo")["changes"] == shown
    assert etcd.values(KEY) == {"": "used"}


def test_no_output_has_a_secret(host: Context, etcd: FakeEtcd) -> None:
    secrets = [host.secrets.get("cache-password"), host.secrets.get("storage-manager"), "by-hand"]
    said = run(host, "seed", "--dry-run").output + run(host, "seed").output
    etcd.put("/sorna/local/config/redis/password", "by-hand")
    for words in (["diff"], ["status"], ["undo", "--dry-run"], ["seed", "--json"]):
        said += run(host, *words).output
    assert "config/redis/password: (secret) -> another (secret)" in said
    assert [secret for secret in secrets if secret in said] == []


@pytest.mark.parametrize("words", [["--help"], ["seed", "--help"], ["undo", "--help"]])
def test_help_has_an_example(host: Context, words: list[str]) -> None:
    assert "Example:\n    backendai-ctl etcd " in run(host, *words).output


def test_defragment_shows_what_it_gained(host: Context, etcd: FakeEtcd) -> None:
    etcd.size, etcd.needed, etcd.alarms = 4_000_000_000, 1_000_000, ["NOSPACE"]
    result = run(host, "defragment")
    assert (result.exit_code, etcd.alarms) == (0, [])
    assert f"{etcd.endpoint}: 4000.0 MB -> 1.0 MB\n" == result.stdout
    (row,) = data(host, "defragment")["members"]
    assert row == {"endpoint": etcd.endpoint, "before": 1_000_000, "after": 1_000_000}
