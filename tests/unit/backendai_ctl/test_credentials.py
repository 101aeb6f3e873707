"""Passwords come from the operator's files, or from what was generated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from declared import COORDINATOR, MANAGER

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.site.schema import Cache, Database, DatabaseOf, Etcd, Site


def test_generated_unless_a_file_is_named(ctx: Context, tmp_path: Path) -> None:
    for name in ("database-manager", "database-coordinator", "cache-password", "etcd-agent"):
        ctx.secrets.create(name)
    assert credentials.database_password(ctx, MANAGER) == ctx.secrets.get("database-manager")
    assert credentials.database_password(ctx, COORDINATOR) == ctx.secrets.get(
        "database-coordinator"
    )
    assert credentials.cache_password(ctx) == ctx.secrets.get("cache-password")
    own = credentials.Login("backendai-agent", ctx.secrets.get("etcd-agent"))
    assert credentials.etcd_login(ctx, "agent") == own
    of_node = credentials.etcd_login(replace(ctx, node="gpu1"), "agent")
    assert of_node == replace(own, user="backendai-agent@gpu1")

    given = tmp_path / "password"
    given.write_text("yours\n")
    given.chmod(0o600)
    site = Site(
        database=Database(manager=DatabaseOf(password_file=given)),
        cache=Cache(password_file=given),
        etcd=Etcd(password_file=given),
    )
    yours = replace(ctx, site=site)
    assert credentials.database_password(yours, MANAGER) == "yours"
    assert credentials.cache_password(yours) == "yours"
    assert credentials.etcd_login(yours, "agent") == credentials.Login("backendai", "yours")


def test_etcd_without_login_has_no_password(ctx: Context) -> None:
    assert credentials.etcd_login(replace(ctx, site=Site(etcd=Etcd(user=None))), "agent") is None


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "No such file"),
        ("x\n", 0o644, "open to everybody"),
        ("", 0o600, "one line"),
        ("a\nb\n", 0o600, "one line"),
    ],
)
def test_unusable_files_are_refused(
    tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(Problem, match=says) as caught:
        credentials.read_password(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
