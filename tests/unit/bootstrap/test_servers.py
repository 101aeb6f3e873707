"""What servers are made of is read from their BUILD files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.servers import servers
from releasekit.errors import Failure

ROOT = Path(__file__).resolve().parents[3]


def test_the_sites_own_servers_are_sets_of_their_own() -> None:
    found = servers(ROOT)
    assert {"postgresql", "valkey", "etcd"} <= set(found)
    assert "postgresql-17" in found["postgresql"] and "etcd-client" in found["etcd"]


def test_what_servers_are_made_of_is_read_by_the_name_of_each(tmp_path: Path) -> None:
    for name, debian in (("one", '["liba", "b"]'), ("two", "[]")):
        folder = tmp_path / f"packaging/servers/{name}"
        folder.mkdir(parents=True)
        (folder / "BUILD").write_text(f'backendai_server(name="{name}", debian={debian})\n')
    other = 'backendai_server_tree(name="tree", debian=["elsewhere"])'
    with (tmp_path / "packaging/servers/one/BUILD").open("a") as file:
        file.write(other)
    assert servers(tmp_path) == {"one": ["liba", "b"], "two": []}


def test_packages_of_a_server_that_cannot_be_read_are_named_with_their_line(tmp_path: Path) -> None:
    folder = tmp_path / "packaging/servers/x"
    folder.mkdir(parents=True)
    (folder / "BUILD").write_text('\nbackendai_server(name="x", debian=[*COMMON])\n')
    with pytest.raises(Failure, match=r"BUILD:2: `name` and `debian` must be plain words"):
        servers(tmp_path)
