"""Asks a server whether it is well, with as little as possible: this runs for as long as it does.

    http://HOST:PORT/PATH                      answers GET with 200; tried with TLS as well
    postgresql://[USER@]HOST:PORT/[DATABASE]   takes logins, as pg_isready finds out
    redis://[:NAME@]HOST:PORT/ or unix://PATH  answers PING; Valkey or Redis

HOST of PostgreSQL may be a folder of sockets, as in URIs of libpq: its slashes are written %2F, which
is %%2F in a unit. Nobody logs in there. Where pg_hba.conf asks for a password, any names keep
the log of PostgreSQL clean; with `peer` and `trust` USER and DATABASE must be there.

NAME is a credential of the unit (systemd.exec(5)) that holds the password of Valkey's default user:
strangers hear NOAUTH even while it loads. The password itself is in no URL, so in no unit, log or status.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

TIMEOUT = 5.0  # seconds to connect, and for an answer
MOST = 4096  # bytes of an answer, about
SHOWN = 200  # characters of what a server says
USER = "health"  # what PostgreSQL is told where the URL names nobody
VERSION = 3 << 16  # of PostgreSQL's protocol
# SQLSTATEs by which PostgreSQL takes no logins: it stops, ends a session because another one crashed,
# or starts, recovers, stops. Any other error comes from a server at work, as with pg_isready. So does
# 53300, that it is full: a restart would end the sessions of all others.
PG_NOT_NOW = ("57P01", "57P02", "57P03")
# Valkey lives, with what it holds: it loads, has lost its master, or cannot save.
VALKEY_NOT_NOW = ("-LOADING ", "-MASTERDOWN ", "-MISCONF ")
# It is at work, whatever it thinks of us: killed for a password that somebody changed, it would be gone
# for everybody.
VALKEY_WELL = (
    "+PONG",
    "-NOAUTH ",
    "-WRONGPASS ",
    "-NOPERM ",
    "-ERR max number of clients reached",  # told to whoever connects
)

_spoken: dict[str, str] = {}  # URL -> the scheme in which the server answered last


@dataclass(frozen=True)
class Fault:
    """Why a server is not well, in one line; `own`: it says so itself, so it lives and is at work."""

    text: str
    own: bool = False


class NotNow(Exception):
    """The server says itself why it does not serve now."""


def fault(url: str) -> Fault | None:
    """Why the server is not well; None if it is."""
    scheme, _, place = url.partition("://")
    try:
        if scheme == "postgresql":
            postgresql(place)
        elif scheme in ("redis", "unix"):
            valkey(place)
        else:
            return _of_http(url)
    except NotNow as said:
        return Fault(f"{url}: {said}", own=True)
    except (OSError, ValueError) as error:
        return Fault(f"{url}: {_reason(error)}")
    return None


def _of_http(url: str) -> Fault | None:
    """An http:// URL is tried as https:// too: the site file may have turned TLS on."""
    scheme, _, rest = url.partition("://")
    schemes = ["https"] if scheme == "https" else ["http", "https"]
    schemes.sort(key=lambda name: name != _spoken.get(url))
    found = None
    for name in schemes:
        try:
            status = get(rest, tls=name == "https")
        except (OSError, ValueError) as error:
            found = found or Fault(f"{url}: {_reason(error)}")
            if isinstance(error, ConnectionRefusedError):
                break  # nobody listens, in whatever scheme
            continue
        _spoken[url] = name
        return None if status == 200 else Fault(f"{url}: HTTP {status}")
    return found


def get(place: str, *, tls: bool) -> int:
    """The status of GET HOST:PORT/PATH. Raises OSError, or ValueError if the answer is not HTTP."""
    authority, _, path = place.partition("/")
    with _connected(authority) as plain:
        stream = _encrypted(plain) if tls else plain
        request = f"GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
        stream.sendall(request.encode())
        line = _read(stream, _has_line)
    words = line.split(b" ", 2)
    if not words[0].startswith(b"HTTP/1.") or len(words) < 3:
        raise ValueError("the answer is not HTTP")
    return int(words[1])


def postgresql(place: str) -> None:
    """Begin to log in to [USER@]HOST:PORT/[DATABASE], and leave.

    Raises NotNow, OSError, or ValueError if the answer is not PostgreSQL's.
    """
    authority, _, database = place.partition("/")
    user, _, address = authority.rpartition("@")
    named = {"user": user or USER, "database": database or user or USER}
    words = b"".join(f"{key}\0{value}\0".encode() for key, value in named.items()) + b"\0"
    with _connected(address) as stream:
        stream.sendall(struct.pack(">ii", len(words) + 8, VERSION) + words)
        answer = _read(stream, _has_message)
        # Whoever goes with something unread, or does not listen to the end, is in the server's log.
        with contextlib.suppress(OSError):
            stream.shutdown(socket.SHUT_WR)
            _read(stream, lambda _: False)
    if answer[:1] == b"R":  # it asks who we are
        return
    fields = {part[:1]: _line(part[1:]) for part in answer[5:].split(b"\0")}
    state = fields.get(b"C", "")
    if answer[:1] != b"E" or len(state) != 5:
        raise ValueError("the answer is not PostgreSQL's")
    if state in PG_NOT_NOW:
        raise NotNow(fields.get(b"M", state))


def valkey(place: str) -> None:
    """PING at [:NAME@]HOST:PORT/ or the path of a socket; NAME: of a credential, to log in before.

    Raises NotNow, OSError, or ValueError for any other error and what is no answer of Valkey.
    """
    local = place.startswith("/")
    login, _, address = ("", "", place) if local else place.partition("/")[0].rpartition("@")
    password = _credential(login.lstrip(":")) if login else None
    with _connected(address) as stream:
        if password is not None:
            size = str(len(password)).encode()
            words = b"*2\r\n$4\r\nAUTH\r\n$" + size + b"\r\n" + password + b"\r\n"
            answer = _asked(stream, words)
            if not answer.startswith("+OK"):
                return _well(answer)
        return _well(_asked(stream, b"PING\r\n"))


def _asked(stream: socket.socket, words: bytes) -> str:
    """The first line of Valkey's answer."""
    stream.sendall(words)
    return _line(_read(stream, _has_line).partition(b"\r\n")[0])


def _well(answer: str) -> None:
    if answer.startswith(VALKEY_WELL):
        return
    if answer.startswith(VALKEY_NOT_NOW):
        raise NotNow(answer[1:])
    raise ValueError(answer[1:] if answer[:1] == "-" else "the answer is not Valkey's")


def _credential(name: str) -> bytes:
    """What systemd gave to the unit under this name, without the end of its line."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ValueError(f"no credential {name}: CREDENTIALS_DIRECTORY is not set")
    with open(f"{folder}/{name}", "rb") as file:
        return file.read().rstrip(b"\r\n")


def _connected(authority: str) -> socket.socket:
    """To HOST:PORT, to PORT in a folder of PostgreSQL's sockets, or to the path of a socket."""
    if authority.startswith("/"):
        return _local(authority)
    host, _, port = authority.rpartition(":")
    if host[:3].upper() == "%2F":
        return _local(f"{host.replace('%2F', '/').replace('%2f', '/')}/.s.PGSQL.{port}")
    return socket.create_connection((host.strip("[]"), int(port)), TIMEOUT)


def _local(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(TIMEOUT)
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


def _read(stream: socket.socket, done: Callable[[bytes], bool]) -> bytes:
    """What comes until it is done, too much, or the end. Raises TimeoutError, OSError."""
    until = time.monotonic() + TIMEOUT
    data = b""
    while not done(data) and len(data) < MOST:
        stream.settimeout(max(until - time.monotonic(), 0.001))
        more = stream.recv(MOST)
        if not more:
            break
        data += more
    return data


def _has_line(data: bytes) -> bool:
    return b"\r\n" in data


def _has_message(data: bytes) -> bool:
    """Whether a message of PostgreSQL is there: one byte, the length of the rest, the rest."""
    return len(data) > 4 and len(data) > struct.unpack_from(">i", data, 1)[0]


def _line(said: bytes) -> str:
    """Fit for one line of systemd's."""
    text = "".join(c if c.isprintable() else " " for c in said.decode("utf-8", "replace"))
    return text[:SHOWN]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _encrypted(plain: socket.socket) -> socket.socket:
    # Only where it is needed: it doubles the memory of this process. The certificate is not checked,
    # whether browsers trust it is a question for `backendai-ctl doctor`.
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
