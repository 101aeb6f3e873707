"""As much of PostgreSQL's protocol as tells whether a server takes logins.

The supervisor of its unit asks likewise (backendai_serve.health), but in code of its own: it has the standard
library alone, and neither of the two packages imports the other.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from backendai_ctl.platform import deadline

_SSL_REQUEST = struct.pack(">ii", 8, 80877103)
_VERSION = 3 << 16
_NAMES = b"user\0health\0database\0health\0\0"  # nobody: it is left when it asks for a password
# SQLSTATEs: it stops, ends sessions after a crash, or starts and recovers. Any other error comes from a
# server at work.
_NOT_NOW = (b"57P01", b"57P02", b"57P03")
_MOST = 4096  # bytes


def ask(host: str, port: int, timeout: float) -> None:
    """Ask whether it has TLS, and, if it has none, begin to log in; each wait takes `timeout` seconds.

    Raises OSError, and ConnectionError with its own words where it takes no logins now.
    """
    with socket.create_connection((host, port), timeout=deadline.left(timeout)) as stream:
        stream.settimeout(timeout)
        stream.sendall(_SSL_REQUEST)
        answer = stream.recv(16)  # PostgreSQL sends one byte; SSH, say, begins with S as well
        if answer not in (b"S", b"N"):
            raise ConnectionError("this is not a PostgreSQL server")
        if answer == b"N":
            _begin(stream)


def _begin(stream: socket.socket) -> None:
    stream.sendall(struct.pack(">ii", len(_NAMES) + 8, _VERSION) + _NAMES)
    answer = _message(stream)
    # Whoever goes with something unread is in the server's log.
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_WR)
        while stream.recv(_MOST):
            pass
    if answer[:1] == b"R":  # it asks who we are
        return
    fields = {part[:1]: part[1:] for part in answer[5:].split(b"\0")}
    if answer[:1] != b"E" or len(fields.get(b"C", b"")) != 5:
        raise ConnectionError("this is not a PostgreSQL server")
    if fields[b"C"] in _NOT_NOW:
        text = fields.get(b"M", fields[b"C"]).decode("utf-8", "replace")
        raise ConnectionError("".join(c if c.isprintable() else " " for c in text)[:200])


def _message(stream: socket.socket) -> bytes:
    """One byte, the length of the rest, the rest; less if it ends before."""
    data = b""
    while len(data) < _MOST and not (
        len(data) > 4 and len(data) > struct.unpack_from(">i", data, 1)[0]
    ):
        more = stream.recv(_MOST)
        if not more:
            break
        data += more
    return data
