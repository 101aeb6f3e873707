"""Promises of backendai_ctl.doctor.accounts."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import replace
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.doctor import accounts
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Site


def me(facts: Facts) -> Facts:
    entry = pwd.getpwuid(os.getuid())
    return replace(facts, user=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def test_the_number_must_be_the_users_own(facts: Facts) -> None:
    mine = me(facts)
    assert accounts.user(Context(mine, Site())).level == "ok"
    taken = accounts.user(Context(replace(mine, user="bai-not-there"), Site()))
    assert (taken.level, mine.user in taken.saw) == ("fail", True)
    moved = accounts.user(Context(replace(mine, uid=54321), Site()))
    assert (moved.level, moved.hint[:24]) == ("fail", f"run: usermod -u 54321 {mine.user}"[:24])
    absent = replace(mine, user="bai-not-there", uid=54321)
    assert accounts.user(Context(absent, Site())).level == "skip"


def test_the_groups_number_must_be_its_own(facts: Facts) -> None:
    entry = grp.getgrgid(os.getgid())
    mine = replace(facts, user=entry.gr_name, gid=entry.gr_gid)
    assert accounts.group(Context(mine, Site())).level == "ok"
    assert accounts.group(Context(replace(mine, user="bai-not-there"), Site())).level == "fail"


def test_a_secret_that_others_can_read_is_a_fault(facts: Facts, tmp_path: Path) -> None:
    given = tmp_path / "given"
    site = Site.model_validate(
        {"cache": {"mode": "external", "host": "cache.example", "password_file": str(given)}}
    )
    ctx = Context(facts, site)
    assert accounts.secrets(ctx).level == "skip"
    secret = ctx.paths.secrets / "etcd-password"
    config = ctx.paths.config / "manager.toml"
    key = ctx.paths.config / "rpc/manager.key_secret"
    of_node = ctx.paths.tls / "nodes/gpu1.key"
    for path in (secret, config, key, of_node, given):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
    assert accounts.secrets(ctx) == accounts.ok("5 files, closed to everybody else")
    given.chmod(0o640)  # the operator's own: a group may
    assert accounts.secrets(ctx).level == "ok"
    for path in (secret, config, key, of_node, given):
        path.chmod(0o644)
        found = accounts.secrets(ctx)
        assert found.level == "fail"
        assert f"{path} has mode 0644" in found.saw
        path.chmod(0o600)
