"""Promises of backendai_ctl.platform.resp, against a server on loopback."""

from __future__ import annotations

import pytest
from loopback_servers import answering

from backendai_ctl.platform import resp

AUTH = b"*2\r\n$4\r\nAUTH\r\n$7\r\np\xc3\xa4ss 1\r\n"


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (b"+OK\r\n", "OK"),
        (b":7\r\n", 7),
        (b"$-1\r\n", None),
        (b"$6\r\na\r\nb\r\n\r\n", "a\r\nb\r\n"),
        (b"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n", ["127.0.0.1", "6379"]),
    ],
)
def test_every_kind_of_reply_is_read(reply: bytes, value: resp.Reply) -> None:
    with answering({AUTH: reply}) as port, resp.Connection("127.0.0.1", port) as server:
        assert server.call("AUTH", "päss 1") == value


def test_an_error_is_refused_with_the_words_of_the_server() -> None:
    reply = b"-WRONGPASS invalid username-password pair\r\n"
    with (
        answering({AUTH: reply}) as port,
        resp.Connection("127.0.0.1", port) as server,
        pytest.raises(resp.Refused, match="WRONGPASS"),
    ):
        server.call("AUTH", "päss 1")


@pytest.mark.parametrize("reply", [b"", b"$100\r\nshort", b"HTTP/1.1 400 Bad Request\r\n"])
def test_what_is_no_reply_is_a_failed_connection(reply: bytes) -> None:
    with (
        answering({AUTH: reply}) as port,
        resp.Connection("127.0.0.1", port, timeout=0.5) as server,
        pytest.raises(OSError),
    ):
        server.call("AUTH", "päss 1")
