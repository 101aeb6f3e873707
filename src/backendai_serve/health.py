"""One GET of a health URL with as little as possible: this runs for as long as the service does."""

from __future__ import annotations

import socket

LIMIT = 5.0  # seconds for each wait

_spoken: dict[str, str] = {}  # URL -> the scheme in which the server answered last


def fault(url: str) -> str:
    """Why the server does not answer 200, in a few words; empty if it does.

    An http:// URL is tried as https:// too: the site file may have turned TLS on.
    """
    scheme, _, rest = url.partition("://")
    schemes = ["https"] if scheme == "https" else ["http", "https"]
    schemes.sort(key=lambda name: name != _spoken.get(url))
    found = ""
    for name in schemes:
        try:
            status = get(rest, tls=name == "https")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            found = found or f"{url}: {reason}"
            if isinstance(error, ConnectionRefusedError):
                break  # nobody listens, in whatever scheme
            continue
        _spoken[url] = name
        return "" if status == 200 else f"{url}: HTTP {status}"
    return found


def get(place: str, *, tls: bool) -> int:
    """The status of GET HOST:PORT/PATH. Raises OSError, or ValueError if the answer is not HTTP."""
    authority, _, path = place.partition("/")
    host, _, port = authority.rpartition(":")
    host = host.strip("[]")
    with socket.create_connection((host, int(port)), LIMIT) as plain:
        stream = _encrypted(plain) if tls else plain
        request = f"GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
        stream.sendall(request.encode())
        line = b""
        while b"\r\n" not in line and len(line) < 512:
            data = stream.recv(512)
            if not data:
                break
            line += data
    words = line.split(b" ", 2)
    if not words[0].startswith(b"HTTP/1.") or len(words) < 3:
        raise ValueError("the answer is not HTTP")
    return int(words[1])


def _encrypted(plain: socket.socket) -> socket.socket:
    # Only where it is needed: it doubles the memory of this process. The certificate is not checked,
    # whether browsers trust it is a question for `backendai-ctl doctor`.
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
