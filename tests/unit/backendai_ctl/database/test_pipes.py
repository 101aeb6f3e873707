"""A program that takes too long is ended, and told by its name."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace

import pytest
from conftest import Accounts

from backendai_ctl.context import Context
from backendai_ctl.database.pipes import bound, started
from backendai_ctl.errors import OutOfTime, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform.bound import Said
from backendai_ctl.site.schema import Site


@pytest.fixture
def ctx(facts: Facts, site: Site, host_accounts: Accounts) -> Context:
    """The services' user is an account that this machine has: programs run as it, by its name."""
    entry = pwd.getpwnam("daemon")
    mine = replace(facts, user="daemon", uid=entry.pw_uid, gid=entry.pw_gid)
    numbers = f"{entry.pw_uid}:{entry.pw_gid}"
    host_accounts.set(
        [f"daemon:x:{numbers}::{host_accounts.state}:/usr/sbin/nologin"],
        [f"daemon:x:{entry.pw_gid}:"],
    )
    return Context(mine, site)


def test_a_program_out_of_time_is_killed_and_named(ctx: Context) -> None:
    said = Said()
    with (
        pytest.raises(OutOfTime, match=r"^sleep was not done") as caught,
        started(ctx, ["sleep", "60"], said) as late,
        started(ctx, ["true"], said) as other,
    ):
        other.wait(30)
        late.wait(0.1)
    assert caught.value.hint
    assert late.returncode == -9


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_no_program_runs_as_somebody_else_who_has_the_number(
    ctx: Context, host_accounts: Accounts
) -> None:
    alice = f"alice:x:{ctx.facts.uid}:1000::/home/alice:/bin/bash"
    host_accounts.set([alice], ["alice:x:1000:"])
    with pytest.raises(Problem, match="is the account alice's"):
        bound(ctx, ["true"])
