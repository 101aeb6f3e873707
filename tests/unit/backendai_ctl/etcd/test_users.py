"""Promises about logins of etcd: only with a password, and killed anywhere a second run finishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_etcd import Dies, FakeEtcd
from site_nodes import as_node, site_of

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.etcd import access, users
from backendai_ctl.etcd.client import Client, Refused
from backendai_ctl.facts import Facts
from backendai_ctl.steps.create_secrets import CreateSecrets

OURS = ("backendai-agent", "backendai-manager", "backendai-storage-proxy")
AGENT = OURS[0]
# Keys below those of the services.
SETTINGS = ("config/redis/addr", "volumes/x", "_")
OF_AGENTS = ("nodes/agents/i-1/ip", "nodes/agents/i-1/")
KEYS = (
    *SETTINGS,
    *OF_AGENTS,
    "nodes/agents",
    "nodes/manager/m",
    "nodes/storage/i-1/config/redis",
    "manager/status",
    "ai/backend/config/manager/x",
)


def as_service(ctx: Context, component: str) -> Client:
    login = credentials.etcd_login(ctx, component)
    assert login
    return access.connect_as(ctx, login.user, login.password)


def can(act: Callable[[str], object], key: str) -> bool:
    """Whether etcd does not deny it."""
    try:
        act(key)
    except Refused as refused:
        assert "permission denied" in refused.message
        return False
    return True


def test_afterwards_nobody_reads_without_a_password(there: Context, etcd: FakeEtcd) -> None:
    etcd.put("/sorna/local/x", "1")
    ((about, what),) = users.missing(there)
    assert (about, what) == ("etcd", f"require a login; users root, {', '.join(OURS)}")
    users.create(there)
    assert users.missing(there) == []
    with pytest.raises(Refused, match="user name is empty"):
        Client([etcd.endpoint]).prefix("/")
    assert access.connect(there).prefix("/sorna/local/").keys() == {"/sorna/local/x"}


@pytest.mark.parametrize(
    ("component", "reads", "writes"),
    [
        ("manager", set(KEYS), set(KEYS)),
        ("agent", {*SETTINGS, "nodes/manager/m", *OF_AGENTS}, set(OF_AGENTS)),
        ("storage-proxy", {*SETTINGS, "nodes/storage/i-1/config/redis"}, set()),
    ],
)
def test_a_service_does_what_it_needs_and_nothing_else(
    there: Context, etcd: FakeEtcd, component: str, reads: set[str], writes: set[str]
) -> None:
    users.create(there)
    service = as_service(there, component)

    def reached(act: Callable[[str], object]) -> set[str]:
        others = ("/sorna/other/x", "/sorna/localx", "/backendai-packaged/local/base")
        assert not any(can(act, key) for key in others)
        return {key for key in KEYS if can(act, f"/sorna/local/{key}")}

    assert reached(lambda key: service.snapshot([key])) == reads
    assert reached(lambda key: service.commit({}, {key: "1"})) == writes


def test_an_agent_of_a_node_writes_what_is_its_own_alone(
    facts: Facts, there: Context, etcd: FakeEtcd
) -> None:
    ctx = as_node(
        facts, "mgmt", site_of(mgmt="10.77.0.1 management", gpu1="10.77.0.11 storage compute")
    )
    ctx.site.etcd.endpoints[:] = [etcd.endpoint]
    CreateSecrets().apply(ctx)
    users.create(ctx)
    assert users.missing(ctx) == []
    of_gpu1 = {f"backendai-{name}@gpu1" for name in ("agent", "storage-proxy")}
    assert set(etcd.users) == {"root", "backendai-manager@mgmt", *of_gpu1}
    secret = ctx.secrets.of_node("gpu1").get("etcd-agent")
    agent = access.connect_as(ctx, "backendai-agent@gpu1", secret)
    for name in ("i-gpu1", "i-gpu1-sftp", "i-gpu1.example.org", "i-gpu1.example.org-sftp"):
        assert can(lambda key: agent.commit({}, {key: "1"}), f"/sorna/local/nodes/agents/{name}/ip")
    for name in ("i-gpu2", "i-gpu10", "i-gpu1-b", "i-gpu"):
        assert not can(
            lambda key: agent.commit({}, {key: "1"}), f"/sorna/local/nodes/agents/{name}/ip"
        )


def test_a_node_that_is_none_any_more_is_shut_out(
    facts: Facts, there: Context, etcd: FakeEtcd
) -> None:
    text = {"mgmt": "10.77.0.1 management", "gpu1": "10.77.0.11 storage compute"}
    ctx = as_node(facts, "mgmt", site_of(**text, gpu2="10.77.0.12 compute"))
    ctx.site.etcd.endpoints[:] = [etcd.endpoint]
    CreateSecrets().apply(ctx)
    users.create(ctx)
    agent = access.connect_as(
        ctx, "backendai-agent@gpu2", ctx.secrets.of_node("gpu2").get("etcd-agent")
    )
    agent.prefix("/sorna/local/config/")
    fewer = as_node(facts, "mgmt", site_of(**text))
    fewer.site.etcd.endpoints[:] = [etcd.endpoint]
    CreateSecrets().apply(fewer)
    assert users.missing(fewer) == [
        ("etcd user backendai-agent@gpu2", "remove it: no service has it")
    ]
    users.create(fewer)
    assert users.missing(fewer) == []
    with pytest.raises(Refused, match="authentication failed"):
        agent.prefix("/sorna/local/config/")


def test_one_password_of_the_operators_is_one_user_for_all(
    there: Context, etcd: FakeEtcd, tmp_path: Path
) -> None:
    users.create(there)
    given = tmp_path / "password"
    given.write_text("theirs\n")
    given.chmod(0o600)
    given_one = there.site.etcd.model_copy(update={"password_file": given})
    ctx = replace(there, site=there.site.model_copy(update={"etcd": given_one}))
    users.create(ctx)
    assert users.missing(ctx) == [] and set(etcd.users) == {"root", "backendai"}
    access.connect_as_service(ctx).prefix("/sorna/local/")
    users.create(there)
    assert set(etcd.users) == {"root", *OURS}, "and back"


@pytest.mark.parametrize("at", range(0, 30, 3))
def test_cut_off_anywhere_a_second_run_finishes(there: Context, etcd: FakeEtcd, at: int) -> None:
    etcd.mishap = Dies(at)
    with pytest.raises(Pending):
        users.create(there)
    etcd.mishap = lambda _: None
    users.create(there)
    assert users.missing(there) == []
    as_service(there, "manager").prefix("/sorna/local/")


def test_a_second_run_changes_no_user(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    before = etcd.auth_revision
    assert users.missing(there) == []
    users.create(there)
    assert etcd.auth_revision == before, "each change ends the tokens of all"


@pytest.mark.parametrize("what", ["user", "role", "grant", "password"])
def test_what_was_lost_comes_back(there: Context, etcd: FakeEtcd, what: str) -> None:
    users.create(there)
    if what == "user":
        del etcd.users[AGENT]
    elif what == "role":
        del etcd.roles[AGENT]
    elif what == "grant":
        etcd.grants[AGENT].clear()
    else:
        etcd.users[AGENT] = "another"
    assert len(users.missing(there)) >= 1
    users.create(there)
    assert users.missing(there) == []


def test_permissions_that_somebody_added_stay(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    more = {"permType": "READ", "key": "Lw==", "range_end": "MA=="}
    etcd.roles[AGENT].append(more)
    assert users.missing(there) == []
    users.create(there)
    assert more in etcd.roles[AGENT]


def test_users_that_somebody_added_stay(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    etcd.users["backendai-backup"] = "theirs"
    users.create(there)
    assert users.missing(there) == [] and "backendai-backup" in etcd.users


def test_an_etcd_with_another_administrator_is_not_touched(there: Context, etcd: FakeEtcd) -> None:
    etcd.users, etcd.grants, etcd.auth = {"root": "theirs"}, {"root": {"root"}}, True
    with pytest.raises(Refused, match="user root: authentication failed"):
        users.create(there)
    assert etcd.users == {"root": "theirs"}


def test_remove_leaves_no_user_and_no_login(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    users.remove(there)
    assert (etcd.auth, etcd.users, etcd.roles) == (False, {}, {})
    users.remove(there)
