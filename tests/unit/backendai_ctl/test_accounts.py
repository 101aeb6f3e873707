"""The services' account: nobody else's is taken for it, and the way out is told."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import declared
import pytest
from conftest import Accounts

from backendai_ctl import accounts
from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.journal import Journal
from backendai_ctl.errors import Problem
from backendai_ctl.operations import reconfigure, status
from backendai_ctl.services import dropins
from backendai_ctl.site.schema import Site
from backendai_ctl.steps import create_user
from backendai_ctl.topology import here

NOLOGIN = "/usr/sbin/nologin"
ALICE = "alice:x:1100:1000:Alice:/home/alice:/bin/bash"


OURS = ["bai:x:1100:1100::STATE:/usr/sbin/nologin"]


def problem(ctx: Context) -> Problem | None:
    return accounts.in_the_way(ctx.facts, accounts.known(ctx.facts))


def test_a_host_without_it_gets_it(ctx: Context, host_accounts: Accounts) -> None:
    assert problem(ctx) is None and create_user.CreateUser().check(ctx) == []
    host_accounts.set([], [])
    assert problem(ctx) is None
    (change,) = create_user.CreateUser().check(ctx)
    assert change.how == "make the account, 1100:1100"


def test_a_service_has_an_account_of_its_own_that_is_made_once(
    ctx: Context, host_accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a number that the host chooses: its data is on this host alone."""
    missing = {"postgresql", "manager"}
    there = {*declared.with_own_account()} - missing - {"valkey"}
    host_accounts.set(OURS, ["bai:x:1100:"], services=sorted(there))
    (ctx.paths.units / ctx.facts.servers["valkey"].unit).unlink()
    assert create_user.CreateUser().check(ctx) == [
        Change("backendai-manager", "make the account"),
        Change("backendai-postgresql", "make the account"),
    ]
    called: list[list[str]] = []

    def sysusers(argv: list[str], **_: object) -> str:
        called.append(argv)
        host_accounts.set(OURS, ["bai:x:1100:"], services=[*there, *missing])
        return ""

    monkeypatch.setattr(accounts, "check", sysusers)
    accounts.make_own(ctx.facts)
    (argv,) = called
    assert argv[2:] == [
        f'u backendai-{name} - "Backend.AI {name}" {ctx.paths.state / name}'
        for name in ("manager", "postgresql")
    ]
    assert create_user.CreateUser().check(ctx) == []
    accounts.make_own(ctx.facts)
    assert len(called) == 1


@pytest.mark.parametrize(
    ("row", "group", "what"),
    [
        ("backendai-valkey:x:1001:1001::/home/v:/bin/bash", "", "account backendai-valkey .*home"),
        ("backendai-valkey:x:1001:1001::STATE/valkey:/bin/sh", "", "account .* /bin/sh"),
        ("backendai-valkey:x:0:0::STATE/valkey:/usr/sbin/nologin", "", r"account .* \(0,"),
        ("", "backendai-valkey:x:1001:alice", "group backendai-valkey"),
        (
            "backendai-valkey:x:1001:1001::STATE/valkey:/usr/sbin/nologin",
            "backendai-valkey:x:1001:alice",
            "group backendai-valkey .*with alice",
        ),
    ],
)
def test_somebody_elses_is_never_taken_for_a_servers(
    ctx: Context, host_accounts: Accounts, row: str, group: str, what: str
) -> None:
    rows = [row] if row else []
    groups = [group] if group else []
    host_accounts.set(
        [*OURS, *rows], ["bai:x:1100:", *groups], services=["docker", "etcd", "postgresql"]
    )
    with pytest.raises(Problem, match=f"the {what}.* is not ours"):
        create_user.CreateUser().check(ctx)
    with pytest.raises(Problem, match=what):
        accounts.make_own(ctx.facts)


@pytest.mark.parametrize(
    ("rows", "groups", "what", "hint"),
    [
        (
            [ALICE],
            ["alice:x:1000:"],
            "number 1100 .* is the account alice's",
            "usermod -u NUMBER a",
        ),
        (
            ["alice:x:1000:1000::/home/alice:/bin/bash"],
            ["alice:x:1000:", "staff:x:1100:"],
            "number 1100 .* is the group staff's",
            "groupmod -g NUMBER staff",
        ),
        (
            ["bai:x:1000:1000:Bai Li:/home/bai:/bin/bash"],
            ["bai:x:1000:"],
            r"account bai \(1000:1000, /home/bai, /bin/bash\) is not ours",
            r"\[user\] name",
        ),
        (
            ["bai:x:1100:1100:Bai Li:/home/bai:/bin/bash"],
            ["bai:x:1100:"],
            "account bai .* is not ours",
            r"\[user\] name",
        ),
        ([], ["bai:x:1000:"], r"group bai \(1000\) is not ours", r"\[user\] name"),
        ([], ["bai:x:1100:alice"], r"group bai \(1100\) is not ours", r"\[user\] name"),
        (
            [f"bai:x:995:1100::STATE:{NOLOGIN}", ALICE],
            ["bai:x:995:", "alice:x:1100:"],
            "is the account alice's",
            r"userdel bai, set \[user\]",
        ),
        (
            [f"bai:x:1100:1100::STATE:{NOLOGIN}", "alice:x:1000:1100::/home/alice:/bin/sh"],
            ["bai:x:1100:"],
            "account alice is in the services' group",
            "usermod -g GROUP alice",
        ),
        (
            [f"bai:x:995:995::STATE:{NOLOGIN}"],
            ["bai:x:995:"],
            "bai is 995:995, not 1100:1100",
            "uid = 995, gid = 995 .* userdel bai",
        ),
    ],
)
def test_somebody_elses_is_never_taken_for_it(
    ctx: Context,
    host_accounts: Accounts,
    rows: list[str],
    groups: list[str],
    what: str,
    hint: str,
) -> None:
    host_accounts.set(rows, groups)
    with pytest.raises(Problem, match=what) as caught:
        reconfigure.reconfigure(ctx)
    with pytest.raises(Problem, match=what):
        create_user.CreateUser().check(ctx)
    assert re.search(hint, caught.value.hint)
    assert Journal(ctx.paths.ctl).last() == {} and not ctx.paths.secrets.exists()
    row = status.gather(replace(ctx, facts=replace(ctx.facts, only=frozenset()))).unfinished[0]
    assert (row["message"], row["hint"]) == (caught.value.message, caught.value.hint)


def test_a_directory_that_takes_long_to_list_everybody_is_asked_by_key(
    ctx: Context, host_accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = host_accounts.folder / "getent"
    keyed = (
        f'#!/bin/sh\n[ $# -gt 1 ] || exec sleep 60\ngrep -Ew "^$2|$3" {host_accounts.folder}/"$1"\n'
    )
    program.write_text(keyed)
    monkeypatch.setattr(accounts, "_TIMEOUT_OF_ALL", 0.2)
    assert problem(ctx) is None and accounts.known(ctx.facts).account("bai")
    host_accounts.set([ALICE], ["alice:x:1000:"])
    found = problem(ctx)
    assert found and "number 1100 of the services' user bai is the account alice's" in found.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_nothing_is_given_to_an_account_that_is_not_ours(
    ctx: Context, host_accounts: Accounts
) -> None:
    assert ctx.owner == (1100, 1100) and ctx.user == "bai"
    other = Context(replace(ctx.facts, user="other"), ctx.site)
    for take in ("owner", "user"):
        with pytest.raises(Problem, match=r"(group|account) bai's"):
            getattr(other, take)


def test_the_site_file_names_another_account(ctx: Context) -> None:
    assert here.with_user(ctx.facts, Site()) == ctx.facts

    def numbers(**user: object) -> tuple[str, int, int]:
        made = here.context(ctx.facts, Site.model_validate({"user": user})).facts
        return made.user, made.uid, made.gid

    assert numbers(uid=2000) == ("bai", 2000, 2000)
    assert numbers(uid=2000, gid=2001) == ("bai", 2000, 2001)
    assert numbers(name="backend") == ("backend", 1100, 1100)


@pytest.mark.parametrize("number", [0, -1, 61184, 65534, 65535, 2**32 - 1])
def test_numbers_of_the_system_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=r"user\.uid"):
        Site.model_validate({"user": {"uid": number}})


def test_what_works_on_files_of_users_runs_as_the_account_of_the_site_file(ctx: Context) -> None:
    made = here.context(ctx.facts, Site.model_validate({"user": {"name": "backend"}}))
    named = "User=backend\nGroup=backend\n"
    given = {path.parent.name for path, text in dropins.wanted(made).items() if named in text}
    assert given == {"backendai-agent.service.d", "backendai-storage-proxy.service.d"}
    assert not any("User=" in text for text in dropins.wanted(ctx).values())
