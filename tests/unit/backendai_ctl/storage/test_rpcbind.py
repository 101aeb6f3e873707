"""rpcbind is masked where NFS 4 alone is used, and an operator's decision stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.platform import systemd
from backendai_ctl.site.schema import Site, Storage, Volume
from backendai_ctl.storage import exports, rpcbind

NAS = Volume(kind="nfs", server="nas", export=Path("/srv/a"))
OLD = Volume(kind="nfs", server="nas", export=Path("/srv/b"), options="vers=3")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with rpcbind; paths below it as the module names them."""
    for name in ("INSTALLED", "FSTAB", "NIS"):
        monkeypatch.setattr(rpcbind, name, tmp_path / name)
    monkeypatch.setattr(exports, "OTHERS", tmp_path / "EXPORTS")
    monkeypatch.setattr(exports, "FILE", tmp_path / "exports.d/backendai.exports")
    (tmp_path / "INSTALLED").touch()
    monkeypatch.setattr(systemd, "booted", lambda: False)
    monkeypatch.setattr(systemd, "systemctl", lambda *_: "")
    return tmp_path


def with_volumes(facts: Facts, *volumes: Volume) -> Context:
    return Context(
        facts, Site(storage=Storage(volumes={f"v{n}": v for n, v in enumerate(volumes)}))
    )


def test_only_where_all_of_nfs_is_version_4(facts: Facts, host: Path) -> None:
    assert rpcbind.to_mask(with_volumes(facts, NAS))
    assert not rpcbind.to_mask(with_volumes(facts, NAS, OLD))
    assert not rpcbind.to_mask(with_volumes(facts, Volume()))
    (host / "INSTALLED").unlink()
    assert not rpcbind.to_mask(with_volumes(facts, NAS))


@pytest.mark.parametrize("other", ["EXPORTS", "NIS", "FSTAB"])
def test_not_where_something_else_may_use_it(facts: Facts, host: Path, other: str) -> None:
    (host / other).write_text("nas:/home  /home nfs  vers=3 0 0\n")
    assert not rpcbind.to_mask(with_volumes(facts, NAS))


def test_mounts_of_version_4_and_comments_in_fstab_do_not_count(facts: Facts, host: Path) -> None:
    (host / "FSTAB").write_text("# nas:/old /old nfs\nnas:/home /home nfs4 hard 0 0\n")
    assert rpcbind.to_mask(with_volumes(facts, NAS))


def test_once_masked_it_is_the_operators(facts: Facts, host: Path) -> None:
    ctx = with_volumes(facts, NAS)
    rpcbind.mask(ctx)
    assert not rpcbind.to_mask(ctx)
    rpcbind.unmask(ctx)
    assert rpcbind.to_mask(ctx)
