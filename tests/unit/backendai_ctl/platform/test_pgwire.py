"""What PostgreSQL says before a login, on the wire."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backendai_ctl.platform import pgwire
from backendai_ctl.probes import servers

SSL_REQUEST = struct.pack(">ii", 8, 80877103)


@contextmanager
def postgresql(first: bytes, *then: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """One that answers the question for TLS with `first`, and what comes next with `then`; its port.

    The list gets what it was sent, and at last what it heard after its answers.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            heard.append(connection.recv(4096))
            connection.sendall(first)
            if then:
                heard.append(connection.recv(4096))
                for part in then:
                    connection.sendall(part)
            heard.append(connection.recv(4096))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        thread.join(5)
        listener.close()


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


def refusal(state: str, text: str) -> bytes:
    return message(b"E", f"SFATAL\0VFATAL\0C{state}\0M{text}\0\0".encode())


PASSWORD = message(b"R", b"\0\0\0\nSCRAM-SHA-256\0\0")


def test_one_that_asks_for_a_password_answers_and_is_left_in_order() -> None:
    with postgresql(b"N", PASSWORD) as (port, heard):
        assert servers.postgresql("127.0.0.1", port, 3) == "answers"
    assert heard[0] == SSL_REQUEST and b"user\0" in heard[1]
    assert heard[2] == b"", "the end, and no reset, which would be in its log"


def test_one_with_tls_is_asked_no_more() -> None:
    """What it says further is said under TLS."""
    with postgresql(b"S") as (port, heard):
        assert servers.postgresql("127.0.0.1", port, 3) == "answers"
    assert heard == [SSL_REQUEST, b""]


@pytest.mark.parametrize("state", ["57P01", "57P02", "57P03"])
def test_one_that_recovers_says_so_itself(state: str) -> None:
    said = "the database system is starting up"
    with (
        postgresql(b"N", refusal(state, said)) as (port, _),
        pytest.raises(ConnectionError) as told,
    ):
        servers.postgresql("127.0.0.1", port, 3)
    assert servers.reason(told.value) == said


@pytest.mark.parametrize("state", ["28000", "28P01", "3D000", "53300"])
def test_any_other_error_comes_from_one_at_work(state: str) -> None:
    with postgresql(b"N", refusal(state, "no entry for host")) as (port, _):
        assert servers.postgresql("127.0.0.1", port, 3) == "answers"


def test_its_answer_may_come_in_pieces() -> None:
    whole = refusal("57P03", "not\nyet")
    pieces = [whole[i : i + 1] for i in range(len(whole))]
    with (
        postgresql(b"N", *pieces) as (port, _),
        pytest.raises(ConnectionError, match=r"^not yet$"),
    ):
        pgwire.ask("127.0.0.1", port, 3)


@pytest.mark.parametrize(
    "talk", [(b"SSH-2.0-x",), (b"",), (b"N", b"HTTP/1.1 400 Bad Request\r\n\r\n"), (b"N", b"E")]
)
def test_what_is_no_postgresql_is_told(talk: tuple[bytes, ...]) -> None:
    with postgresql(*talk) as (port, _), pytest.raises(OSError):
        pgwire.ask("127.0.0.1", port, 0.5)
