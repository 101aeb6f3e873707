"""One request, with a timeout, never by way of a proxy."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from backendai_ctl.platform import deadline

MOST = 1_000_000  # bytes of an answer that are read


class Local(http.client.HTTPConnection):
    """HTTP over a socket of the file system, such as Docker's; timeout in seconds."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(
    url: str,
    *,
    timeout: float = 2.0,
    tls: ssl.SSLContext | None = None,
    local: Path | None = None,
    post: str | None = None,
    headers: Mapping[str, str] | None = None,
    most: int | None = MOST,
) -> tuple[int, str]:
    """Status and text of what `url` answers, to `post` if given; through the socket `local` if given.

    `timeout` is in seconds, for each wait; `most` in bytes. Raises OSError or http.client.HTTPException.
    """
    parts, timeout = urlsplit(url), deadline.left(timeout)
    connection: http.client.HTTPConnection
    if local:
        connection = Local(local, timeout)
    elif parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout, context=tls
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        sent = {"Connection": "close", **(headers or {})}
        connection.request("GET" if post is None else "POST", path, post, sent)
        answer = connection.getresponse()
        return answer.status, answer.read(most).decode("utf-8", "replace")
    finally:
        connection.close()


def unchecked() -> ssl.SSLContext:
    """Encryption without a look at the certificate: to ask our own server how it is.

    Whether its certificate is good is a question of its own; see doctor.
    """
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made
