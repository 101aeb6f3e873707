"""Promises about logins of etcd: only with a password, and killed anywhere a second run finishes."""

from __future__ import annotations

import pytest
from fake_etcd import Dies, FakeEtcd

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.etcd import access, users
from backendai_ctl.etcd.client import Client, Refused


def test_afterwards_nobody_reads_without_a_password(there: Context, etcd: FakeEtcd) -> None:
    etcd.put("/sorna/local/x", "1")
    assert users.missing(there) == [("etcd", "require a login; users root and backendai")]
    users.create(there)
    assert users.missing(there) == []
    with pytest.raises(Refused, match="user name is empty"):
        Client([etcd.endpoint]).prefix("/")
    assert access.connect(there).prefix("/sorna/local/").keys() == {"/sorna/local/x"}


def test_services_read_and_write_their_prefix_and_nothing_else(
    there: Context, etcd: FakeEtcd
) -> None:
    users.create(there)
    service = access.connect_as_service(there)
    assert service.commit({}, {"/sorna/local/nodes/agents/i-1": "running"})
    for key in ("/sorna/other/x", "/backendai-packaged/local/base"):
        with pytest.raises(Refused, match="permission denied"):
            service.commit({}, {key: "1"})


@pytest.mark.parametrize("at", range(10))
def test_cut_off_anywhere_a_second_run_finishes(there: Context, etcd: FakeEtcd, at: int) -> None:
    etcd.mishap = Dies(at)
    with pytest.raises(Pending):
        users.create(there)
    etcd.mishap = lambda _: None
    users.create(there)
    assert users.missing(there) == []
    access.connect_as_service(there).prefix("/sorna/local/")


def test_a_second_run_changes_no_user(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    before = etcd.auth_revision
    assert users.missing(there) == []
    assert etcd.auth_revision == before == users.revision(access.connect(there))


@pytest.mark.parametrize("what", ["user", "role", "grant", "password"])
def test_what_was_lost_comes_back(there: Context, etcd: FakeEtcd, what: str) -> None:
    users.create(there)
    if what == "user":
        del etcd.users["backendai"]
    elif what == "role":
        del etcd.roles["backendai"]
    elif what == "grant":
        etcd.grants["backendai"].clear()
    else:
        etcd.users["backendai"] = "another"
    assert len(users.missing(there)) >= 1
    users.create(there)
    assert users.missing(there) == []


def test_permissions_that_somebody_added_stay(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    more = {"permType": "READ", "key": "Lw==", "range_end": "MA=="}
    etcd.roles["backendai"].append(more)
    assert users.missing(there) == []
    users.create(there)
    assert more in etcd.roles["backendai"]


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
