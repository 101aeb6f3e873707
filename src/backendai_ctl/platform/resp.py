"""As much of the protocol of Valkey and Redis (RESP2) as it takes to log in and ask."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import BinaryIO

from backendai_ctl.platform import deadline

Reply = str | int | None | list["Reply"]


class Refused(Exception):
    """The server answered with an error, such as WRONGPASS."""


class Connection:
    """A connection to one server; `timeout` in seconds for each wait. Raises OSError."""

    def __init__(
        self, host: str, port: int, *, timeout: float = 3.0, tls: ssl.SSLContext | None = None
    ) -> None:
        plain = socket.create_connection((host, port), timeout=deadline.left(timeout))
        try:
            self._socket = tls.wrap_socket(plain, server_hostname=host) if tls else plain
        except BaseException:
            plain.close()
            raise
        self._stream: BinaryIO = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def call(self, *words: str) -> Reply:
        """The answer to one command; Refused if it is an error."""
        self._socket.sendall(_encode(words))
        try:
            return self._read()
        except (ValueError, RecursionError) as error:  # no number, or none that anybody means
            raise ConnectionError("this is not a Valkey or Redis server") from error

    def _read(self) -> Reply:
        line = self._stream.readline().decode("utf-8", "replace")
        if not line.endswith("\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[0], line[1:-2]
        if kind == "-":
            raise Refused(rest)
        if kind == "+":
            return rest
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else self._bulk(_size(rest))
        if kind == "*":
            return None if rest == "-1" else [self._read() for _ in range(_size(rest))]
        raise ValueError(kind)

    def _bulk(self, size: int) -> str:
        data = self._stream.read(size + 2)
        if len(data) != size + 2:
            raise ConnectionError("the server closed the connection")
        return data[:-2].decode("utf-8", "replace")


def _size(said: str) -> int:
    """How much follows. ValueError if that is no number, or below zero."""
    if not said.isdecimal():
        raise ValueError(said)
    return int(said)


def _encode(words: Sequence[str]) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
