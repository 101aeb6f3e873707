"""Whatever a server says, it is understood or refused in words, and nobody waits for more."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai_ctl.platform import pgwire, resp

replies = st.recursive(
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)
# What could pass for an answer, beside what could not.
words = b"* $ : + - 1 3 -1 99999999999 x R E N S C57P03 _".split()
pieces = [*words, b"\r\n", b"\n", b"\0", b"\0\0\0\x08", b"\xff" * 4, b"Mno\0"]
noise = st.binary(max_size=60) | st.lists(st.sampled_from(pieces), max_size=12).map(b"".join)


@contextmanager
def server(said: bytes) -> Iterator[None]:
    """One that says this, and goes."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        with mock.patch.object(socket, "create_connection", lambda *_, **__: ours):
            yield


def encoded(reply: resp.Reply) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))
    return b"$%d\r\n%b\r\n" % (len(reply.encode()), reply.encode())


@given(replies, st.lists(st.text(st.characters(codec="utf-8"), max_size=9), min_size=1, max_size=4))
def test_a_reply_is_read_as_it_was_meant(reply: resp.Reply, words: list[str]) -> None:
    with server(encoded(reply)), resp.Connection("x", 1) as valkey:
        assert valkey.call(*words) == reply


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=9), min_size=1, max_size=4))
def test_a_command_is_an_array_of_its_words(words: list[str]) -> None:
    with server(resp._encode(words)), resp.Connection("x", 1) as valkey:
        assert valkey.call("ECHO") == words


@given(noise)
def test_what_valkey_would_not_say_is_a_failed_connection(said: bytes) -> None:
    with (
        server(said),
        resp.Connection("x", 1) as valkey,
        contextlib.suppress(OSError, resp.Refused),
    ):
        valkey.call("PING")


@pytest.mark.parametrize("said", [b"*1\r\n" * 5000, b"$-2\r\n", b"$-7\r\n", b":\r\n", b"*-9\r\n"])
def test_neither_depth_nor_size_is_trusted(said: bytes) -> None:
    with server(said), resp.Connection("x", 1) as valkey, pytest.raises(OSError):
        valkey.call("PING")


@given(noise)
def test_what_postgresql_would_not_say_is_a_failed_connection(said: bytes) -> None:
    with server(said), contextlib.suppress(OSError):
        pgwire.ask("x", 1, 1.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:  # as an answer to a login
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            pgwire._begin(ours)


@given(st.sampled_from([b"57P01", b"57P02", b"57P03"]), st.text(max_size=300))
def test_why_postgresql_takes_no_logins_is_told_in_one_line(state: bytes, why: str) -> None:
    told = why.replace("\0", "").encode("utf-8", "replace")
    fields = b"SFATAL\0C" + state + b"\0M" + told + b"\0\0"
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ConnectionError) as caught:
        theirs.sendall(b"E" + struct.pack(">i", len(fields) + 4) + fields)
        theirs.shutdown(socket.SHUT_WR)
        pgwire._begin(ours)
    text = str(caught.value)
    assert not text or text.isprintable()
    assert len(text) == min(len(told.decode()), 200)
