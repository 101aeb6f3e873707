"""Whatever a server says, its supervisor has one line for systemd, or knows that it is well."""

from __future__ import annotations

import contextlib
import socket
import struct
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai_serve import health

pieces = [
    *b"HTTP/1.1 200 OK 503 -1 +PONG -LOADING -ERR -NOAUTH E R C57P03 C28000 x".split(),
    *(b"\r\n", b" ", b"\0", b"\0\0\0\x08", b"\xff" * 4, b"Mno\nway\x1b[2J\0", "ü\u2028".encode()),
]
said = st.lists(st.sampled_from(pieces) | st.binary(max_size=6), max_size=12).map(b"".join)
urls = st.sampled_from(
    ["http://x:1/health", "postgresql://x:1/", "postgresql://u@x:1/db", "redis://x:1/", "unix:///x"]
)


def told(url: str, answer: bytes) -> health.Fault | None:
    """What the supervisor makes of a server that says this, whatever it is asked."""
    with contextlib.ExitStack() as ends:

        def connected(_: str) -> socket.socket:
            ours, theirs = socket.socketpair()
            ends.enter_context(theirs)
            theirs.sendall(answer)
            theirs.shutdown(socket.SHUT_WR)
            return ours

        ends.enter_context(mock.patch.object(health, "_connected", connected))
        return health.fault(url)


@given(urls, said)
def test_a_fault_is_one_line(url: str, answer: bytes) -> None:
    fault = told(url, answer)
    if fault:
        assert fault.text.isprintable() and fault.text.startswith(url)
        assert len(fault.text) <= len(url) + 2 + health.SHOWN


@given(st.sampled_from(["57P01", "57P02", "57P03"]), st.text(max_size=300))
def test_what_a_server_says_of_itself_is_told(state: str, words: str) -> None:
    text = words.replace("\0", "").encode("utf-8", "replace")
    fields = b"SFATAL\0C" + state.encode() + b"\0M" + text + b"\0\0"
    fault = told("postgresql://x:1/", b"E" + struct.pack(">i", len(fields) + 4) + fields)
    assert fault and fault.own and fault.text.isprintable()
    assert fault.text.endswith(health._line(text))


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://x:1/health", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("postgresql://x:1/", b"R\0\0\0\x08\0\0\0\x05"),
        ("redis://x:1/", b"+PONG\r\n"),
        ("unix:///x", b"-NOAUTH login\r\n"),
    ],
)
def test_a_server_at_work_is_well(url: str, answer: bytes) -> None:
    assert told(url, answer) is None
