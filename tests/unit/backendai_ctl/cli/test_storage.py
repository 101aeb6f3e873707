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
from backendai_ctl.errors import EXIT_FAILED, BadRequest, Pending
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Network, Site, Storage, Volume
from backendai_ctl.steps import units
from backendai_ctl.storage import exports, volumes


@pytest.fixture
def host(facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A local volume, ready, and a remote one that is not mounted."""
    monkeypatch.setattr(cli, "need_root", lambda: None)
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(exports, "FOLDER", tmp_path / "exports.d")
    monkeypatch.setattr(exports, "SERVER", tmp_path / "none")
    nas = Volume(kind="nfs", server="nas", export=Path("/srv/a"))
    site = Site(
        storage=Storage(volumes={"here": Volume(), "nas": nas}),
        network=Network(allow=["192.0.2.0/24"]),
    )
    made = Context(replace(facts, user="root", uid=os.geteuid(), gid=os.getegid()), site)
    volumes.prepare(made, volumes.places(made)[0])
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
    assert (rows["here"]["state"], rows["here"]["version"]) == ("ready", "3")
    assert rows["here"]["size"] > rows["here"]["free"] > 0
    assert rows["nas"]["state"] == "not mounted"
    assert (rows["nas"]["mounted"], rows["nas"]["size"]) == (False, 0)


def test_status_of_good_volumes_is_success(host: Context) -> None:
    only = Context(host.facts, Site(storage=Storage(volumes={"here": Volume()})))
    assert run(only, "status").exit_code == 0


def test_a_mount_that_is_planned_changes_nothing(host: Context, tmp_path: Path) -> None:
    path = host.paths.volumes / "nas"
    assert data(host, "mount", "--dry-run") == {"would_mount": [f"{path} from nas:/srv/a"]}
    assert not (tmp_path / "system").exists()
    with pytest.raises(BadRequest, match="is a folder of this host"):
        run(host, "mount", "here")
    with pytest.raises(BadRequest, match="no volume 'other'"):
        run(host, "mount", "other")


def test_an_export_is_planned_written_and_removed(host: Context) -> None:
    file = exports.path(volumes.places(host)[0])
    planned = data(host, "export", "here", "--dry-run")
    assert planned["changed"] and "192.0.2.0/24(rw,sync" in planned["text"]
    assert not file.exists()
    with pytest.raises(Pending, match="no NFS server"):
        run(host, "export", "here")
    assert file.read_text() == planned["text"]
    assert not data(host, "export", "here", "--dry-run")["changed"]
    assert data(host, "export", "here", "--remove")["changed"]
    assert not file.exists()
    with pytest.raises(BadRequest, match="is on nas:/srv/a"):
        run(host, "export", "nas", "--dry-run")
