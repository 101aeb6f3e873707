"""As much of Valkey as prepare-cache uses, in memory."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class FakeValkey:
    """`settings` are as CONFIG SET leaves them; `broken`: it cannot write its append-only file."""

    port: int = 0
    settings: dict[str, str] = field(
        default_factory=lambda: {"requirepass": "", "appendonly": "no"}
    )
    broken: bool = False
    time: float = 0.0  # what TIME says
    hashes: dict[str, dict[str, str]] = field(default_factory=dict)
    log: list[tuple[str, ...]] = field(default_factory=list)

    def answer(self, words: list[str], state: dict[str, bool]) -> str:
        self.log.append(tuple(words))
        password = self.settings["requirepass"]
        if words[0] == "AUTH":
            if words[1] != password:
                return "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
            state["in"] = True
            return "+OK\r\n"
        if password and not state.get("in"):
            return "-NOAUTH Authentication required.\r\n"
        state["in"] = True  # without a password everybody is, and stays when one is set
        if words[0] == "PING":
            return "+PONG\r\n"
        if words[:2] == ["CONFIG", "SET"]:
            self.settings[words[2]] = words[3]
            return "+OK\r\n"
        if words[:2] == ["CONFIG", "GET"]:
            return _list([words[2], self.settings.get(words[2], "")])
        if words[0] == "TIME":
            return _list([str(int(self.time)), str(int(self.time % 1 * 1e6))])
        if words[0] == "HSET":
            self.hashes.setdefault(words[1], {})[words[2]] = words[3]
            return ":1\r\n"
        if words[0] == "HGET":
            found = self.hashes.get(words[1], {}).get(words[2])
            return "$-1\r\n" if found is None else _bulk(found)
        if words[0] == "HGETALL":
            rows = self.hashes.get(words[1], {})
            return _list([word for pair in rows.items() for word in pair])
        if words[0] == "INFO":
            status = "err" if self.broken else "ok"
            return _bulk(f"aof_rewrite_in_progress:0\r\naof_last_bgrewrite_status:{status}\r\n")
        return "-ERR unknown command\r\n"


@contextmanager
def running(valkey: FakeValkey) -> Iterator[FakeValkey]:
    """Serve it on loopback."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            state: dict[str, bool] = {}
            while line := self.rfile.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int(self.rfile.readline()[1:])
                    words.append(self.rfile.read(size + 2)[:-2].decode())
                self.wfile.write(valkey.answer(words, state).encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = Server(("127.0.0.1", valkey.port), Handler)
    valkey.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield valkey
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _list(words: list[str]) -> str:
    return f"*{len(words)}\r\n" + "".join(map(_bulk, words))


def _bulk(text: str) -> str:
    return f"${len(text.encode())}\r\n{text}\r\n"
