from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.roots import ALSO, bases, read_base, roots, servers
from releasekit.errors import Failure

ROOT = Path(__file__).resolve().parents[3]


def build_file(root: Path, text: str) -> Path:
    folder = root / "packaging/x"
    folder.mkdir(parents=True)
    (folder / "BUILD").write_text(text)
    return root


def test_what_packages_ask_debian_for_is_read_with_the_reason(tmp_path: Path) -> None:
    text = """
backendai_role(
    name="node",
    depends={"deb": ["docker.io | docker-ce", "db (>= 17)"], "rpm": ["docker-ce"]},
    suggests={"deb": ["db"]},
)
"""
    found = roots(build_file(tmp_path, text))
    assert found["docker.io"] == ["backendai-node depends on it"]
    assert found["db"] == ["backendai-node depends on it", "backendai-node suggests it"]
    assert set(found) == {"docker.io", "db", *ALSO}


def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    root = build_file(tmp_path, '\nbackendai_role(name="x", depends={"deb": NAMES})\n')
    with pytest.raises(Failure, match=r"BUILD:2: `name` and `depends` must be plain words"):
        roots(root)


def test_what_is_ours_is_nothing_to_take_of_debian(tmp_path: Path) -> None:
    wanted = 'depends={"deb": ["backendai-docker | docker.io", "nftables"]}'
    found = roots(build_file(tmp_path, f'backendai_role(name="node", {wanted})\n'))
    assert set(found) == {"nftables", *ALSO}


def test_the_roles_bring_no_server_of_debians() -> None:
    found = roots(ROOT)
    assert {"nftables", "nfs-common", "nfs-kernel-server"} <= set(found)
    own = ("postgresql", "valkey", "redis", "etcd", "docker", "containerd")
    assert [name for name in found if name.startswith(own)] == []


def test_the_sites_own_servers_are_sets_of_their_own() -> None:
    found = servers(ROOT)
    assert {"postgresql", "valkey", "etcd"} <= set(found)
    assert "postgresql-17" in found["postgresql"] and "etcd-client" in found["etcd"]


def test_what_servers_are_made_of_is_read_by_the_name_of_each(tmp_path: Path) -> None:
    for name, debian in (("one", '["liba", "b"]'), ("two", "[]")):
        folder = tmp_path / f"packaging/servers/{name}"
        folder.mkdir(parents=True)
        (folder / "BUILD").write_text(f'backendai_server(name="{name}", debian={debian})\n')
    build_file(tmp_path, 'backendai_server_tree(name="tree", debian=["elsewhere"])\n')
    assert servers(tmp_path) == {"one": ["liba", "b"], "two": []}


def test_packages_of_a_server_that_cannot_be_read_are_named_with_their_line(tmp_path: Path) -> None:
    folder = tmp_path / "packaging/servers/x"
    folder.mkdir(parents=True)
    (folder / "BUILD").write_text('\nbackendai_server(name="x", debian=[*COMMON])\n')
    with pytest.raises(Failure, match=r"BUILD:2: `name` and `debian` must be plain words"):
        servers(tmp_path)


def test_a_base_without_packages_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "packaging/bases"
    folder.mkdir(parents=True)
    (folder / "minimal.toml").write_text('about = "nothing"\n# packages = ["x"]\n')
    with pytest.raises(Failure, match="a list `packages`"):
        read_base(tmp_path, "minimal")


def test_every_base_of_the_repository_holds_the_minimal_one() -> None:
    first, *others = bases(ROOT)
    assert first.name == "minimal"
    for base in others:
        assert {"?essential", "?priority(required)", "apt"} <= set(base.packages), base.name
        assert len(base.packages) > len(first.packages)
