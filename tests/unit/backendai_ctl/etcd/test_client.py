"""Promises of backendai_ctl.etcd.client, against an etcd in memory."""

from __future__ import annotations

import pytest
from fake_etcd import FakeEtcd, running

from backendai_ctl.etcd.client import Client, Refused, Unreachable, end_of


def test_reads_and_writes_what_is_asked(etcd: FakeEtcd) -> None:
    client = Client([etcd.endpoint])
    assert client.commit({"/a/ä": 0, "/a/b": 0}, {"/a/ä": "ö", "/a/b": ""})
    assert {key: entry.value for key, entry in client.prefix("/a/").items()} == {
        "/a/b": "",
        "/a/ä": "ö",
    }
    found = client.snapshot(["/a/b", "/nothing"])
    assert found == {"/a/b": ("", etcd.revision)}


def test_bytes_that_are_no_text_survive(etcd: FakeEtcd) -> None:
    client = Client([etcd.endpoint])
    assert client.commit({}, {"/a/b": "\udcff"})
    assert client.prefix("/a/")["/a/b"].value == "\udcff"


def test_nothing_is_written_when_a_key_changed(etcd: FakeEtcd) -> None:
    client = Client([etcd.endpoint])
    etcd.put("/a", "1")
    seen = client.snapshot(["/a"])["/a"].revision
    etcd.put("/a", "2")
    assert not client.commit({"/a": seen, "/b": 0}, {"/b": "x"}, ["/a"])
    assert etcd.values("/") == {"a": "2"}
    assert not client.commit({"/a": 0}, {"/a": "x"})


def test_the_member_that_answers_is_used(etcd: FakeEtcd, free_port: int) -> None:
    etcd.put("/a", "1")
    client = Client([f"127.0.0.1:{free_port}", etcd.endpoint])
    assert client.snapshot(["/a"])["/a"].value == "1"
    assert client.endpoints[0] == etcd.endpoint


def test_all_members_are_named_when_none_answers(free_port: int) -> None:
    client = Client([f"127.0.0.1:{free_port}", f"[::1]:{free_port}"])
    with pytest.raises(Unreachable) as caught:
        client.prefix("/")
    assert f"127.0.0.1:{free_port}: connection refused" in caught.value.message
    assert f"[::1]:{free_port}" in caught.value.message
    assert "backendai-ctl logs etcd" in caught.value.hint


def test_a_login_is_made_and_made_again_when_users_changed(etcd: FakeEtcd) -> None:
    etcd.users, etcd.grants, etcd.auth = {"root": "r"}, {"root": {"root"}}, True
    client = Client([etcd.endpoint], user="root", password="r")
    client.prefix("/")
    etcd.auth_revision += 1
    client.prefix("/")
    assert etcd.calls.count("auth/authenticate") == 2


def test_a_wrong_password_is_told_without_it(etcd: FakeEtcd) -> None:
    etcd.users, etcd.grants, etcd.auth = {"root": "r"}, {"root": {"root"}}, True
    with pytest.raises(Refused, match="user root: authentication failed") as caught:
        Client([etcd.endpoint], user="root", password="hush").prefix("/")
    assert "hush" not in str(caught.value)


def test_an_etcd_without_authentication_needs_no_login(etcd: FakeEtcd) -> None:
    assert Client([etcd.endpoint], user="root", password="r").login() == ""


def test_what_is_no_etcd_is_unreachable() -> None:
    from loopback_servers import answering

    with answering({b"": b"SSH-2.0-x\r\n"}) as port, pytest.raises(Unreachable):
        Client([f"127.0.0.1:{port}"], timeout=1).prefix("/")


def test_an_etcd_without_its_json_gateway_is_told() -> None:
    from loopback_servers import answering

    said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"
    with answering({b"": said}) as port, pytest.raises(Unreachable) as caught:
        Client([f"127.0.0.1:{port}"], timeout=1).prefix("/")
    assert "HTTP 404, no JSON (not found); its gateway" in caught.value.message


def test_a_member_that_came_back_is_used_again(etcd: FakeEtcd) -> None:
    other = FakeEtcd()
    with running(other):
        client = Client([other.endpoint, etcd.endpoint])
        client.prefix("/")
        assert client.endpoints[0] == other.endpoint
    client.prefix("/")
    assert client.endpoints[0] == etcd.endpoint


def test_the_end_of_a_prefix_is_after_all_that_begin_with_it() -> None:
    assert end_of("/sorna/local/") == "/sorna/local0"
