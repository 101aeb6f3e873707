"""Small servers on loopback, for tests of what asks them."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answers = Mapping[str, tuple[int, str]]


@contextmanager
def serving(answers: Answers) -> Iterator[int]:
    """HTTP: path -> status and body; 404 for others. Gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return None

    with _up(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield port


@contextmanager
def answering(replies: Mapping[bytes, bytes]) -> Iterator[int]:
    """TCP: what came, exactly -> what is sent; b"" for anything else. Gives the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client may leave when it likes
                self.answer()

        def answer(self) -> None:
            while data := self.request.recv(4096):
                reply = replies.get(data, replies.get(b"", b""))
                if not reply:
                    return
                self.request.sendall(reply)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with _up(Server(("127.0.0.1", 0), Handler)) as port:
        yield port


@contextmanager
def _up(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
