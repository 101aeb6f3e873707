"""backendai-ctl storage: what it prints, its exit codes, and plans without effect."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backendai_ctl.cli import storage as cli
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_FAILED, BadRequest
from backendai_ctl.facts import Facts
from backendai_ctl.platform import units
from backendai_ctl.site.schema import Network, Site, Storage, Volume
from backendai_ctl.storage import access, exports, volumes
from backendai_ctl.topology import places


@pytest.fixture
def host(facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A local volume, ready, and a remote one that is not mounted."""
    monkeypatch.setattr(cli, "need_root", lambda: None)
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(exports, "FILE", tmp_path / "exports.d/backendai.exports")
    monkeypatch.setattr(exports, "SERVER", tmp_path / "none")
    nas = Volume(kind="nfs", server="nas", export=Path("/srv/a"))
    site = Site(
        storage=Storage(volumes={"here": Volume(), "nas": nas}),
        network=Network(allow=["192.0.2.0/24"]),
    )
    made = Context(replace(facts, user="root", uid=os.geteuid(), gid=os.getegid()), site)
    volumes.prepare(made, places.places(made)[0])
    return made


def run(host: Context, *words: str) -> Result:
    result = CliRunner().invoke(cli.command, words, obj=host)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def data(host: Context, *words: str) -> Any:
    return json.loads(run(host, *words, "--json").stdout)


def test_status_tells_what_can_be_used(host: Context) -> None:
    result = run(host, "status")
    assert result.exit_code == EXIT_FAILED
    assert "nas:/srv/a" in result.stdout
    rows = {row["name"]: row for row in data(host, "status")["volumes"]}
    assert (rows["here"]["ok"], rows["here"]["version"]) == (True, "3")
    assert rows["here"]["size"] > rows["here"]["free"] > 0
    assert (rows["nas"]["ok"], rows["nas"]["message"]) == (False, "not mounted")
    assert (rows["nas"]["mounted"], rows["nas"]["size"]) == (False, 0)


def test_status_of_good_volumes_is_success(host: Context) -> None:
    only = Context(host.facts, Site(storage=Storage(volumes={"here": Volume()})))
    assert run(only, "status").exit_code == 0


def test_a_mount_that_is_planned_changes_nothing(host: Context, tmp_path: Path) -> None:
    path = host.paths.volumes / "nas"
    said = data(host, "mount", "--dry-run")
    assert (said["dry_run"], said["mounted"]) == (True, [f"{path} from nas:/srv/a"])
    assert not (tmp_path / "system").exists()
    with pytest.raises(BadRequest, match="is a folder of this host"):
        run(host, "mount", "here")
    with pytest.raises(BadRequest, match="no volume 'other'"):
        run(host, "mount", "other")


def test_a_host_that_keeps_nothing_for_others_exports_nothing(host: Context) -> None:
    with pytest.raises(BadRequest, match="no other node needs") as caught:
        run(host, "export", "--dry-run")
    assert 'server = "NODE"' in caught.value.hint


def test_check_names_node_volume_and_numbers(
    host: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "node", lambda _ctx: "gpu1")
    told = data(host, "check")
    assert told["node"] == "gpu1"
    rows = {(row["volume"], row["name"]): row for row in told["findings"]}
    uid, gid = host.owner
    assert rows["", "user"]["message"] == f"root is {uid}:{gid}"
    assert rows["here", "ids"]["message"] == f"a file of root belongs to {uid}:{gid}"
    assert rows["here", "use"]["level"] == "ok"
    assert rows["nas", "mount"]["level"] == "fail"
    assert not told["ok"]
    shown = run(host, "check")
    assert shown.exit_code == EXIT_FAILED
    assert "hint: nas: run: backendai-ctl storage mount nas" in shown.stdout
    assert run(host, "check", "here").exit_code == 0
