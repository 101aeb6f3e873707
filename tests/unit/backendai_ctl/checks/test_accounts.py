"""Promises of backendai_ctl.checks.accounts."""

from __future__ import annotations

from pathlib import Path

import declared
import pytest
from conftest import Accounts

from backendai_ctl.checks import accounts
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Site


def test_the_account_and_who_is_in_its_way(ctx: Context, host_accounts: Accounts) -> None:
    assert accounts.user(ctx) == accounts.ok("bai is 1100:1100")
    host_accounts.set([], [])
    assert accounts.user(ctx).level == "skip"
    host_accounts.set(["alice:x:1100:1000::/home/alice:/bin/sh"], [])
    found = accounts.user(ctx)
    assert (found.level, "alice" in found.message, "[user]" in found.hint) == ("fail", True, True)


def test_accounts_of_services_are_looked_at_as_well(ctx: Context, host_accounts: Accounts) -> None:
    ours = ["bai:x:1100:1100::STATE:/usr/sbin/nologin"]
    there = sorted({*declared.with_own_account()} - {"postgresql"})
    host_accounts.set(ours, ["bai:x:1100:"], services=there)
    found = accounts.user(ctx)
    assert (found.level, found.message) == ("warn", "no account backendai-postgresql")
    theirs = [*ours, "backendai-postgresql:x:1001:1001::/home/p:/bin/sh"]
    host_accounts.set(theirs, ["bai:x:1100:"], services=there)
    with pytest.raises(Problem, match=r"backendai-postgresql .* is not ours"):
        accounts.user(ctx)


def test_people_in_the_services_group_are_named(ctx: Context, host_accounts: Accounts) -> None:
    assert accounts.group(ctx).level == "ok"
    home = host_accounts.state
    host_accounts.set([f"bai:x:1100:1100::{home}:/sbin/nologin"], ["bai:x:1100:alice,bai"])
    found = accounts.group(ctx)
    assert (found.level, found.message) == ("warn", "alice in group bai")
    host_accounts.set([], [])
    assert accounts.group(ctx).level == "skip"


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
    of_server = ctx.paths.config / "valkey.password"
    for path in (secret, config, key, of_node, given, of_server):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
    assert accounts.secrets(ctx) == accounts.ok("6 files, closed to everybody else")
    given.chmod(0o640)  # the operator's own: a group may
    assert accounts.secrets(ctx).level == "ok"
    for path in (secret, config, key, of_node, given, of_server):
        path.chmod(0o644)
        found = accounts.secrets(ctx)
        assert found.level == "fail"
        assert f"{path} has mode 0644" in found.message
        path.chmod(0o600)
