"""`python -I -m backendai_serve.tls_proxy FILE`: loopback ports that lead to servers with TLS.

Backend.AI's clients for etcd and Valkey speak no TLS, and follow sentinels without it alone. They
connect to a port of loopback; for each connection this opens one to the server, certificate and name
checked by OpenSSL, and passes on what comes. Where sentinels name the server, connections to one that is
master no longer are ended: clients connect anew, and reach the new one. FILE is JSON, a list of tables:

    name      for messages
    port      of loopback, to listen on
    nodes     "HOST:PORT" of servers: the first that answers is used, the last good one is tried first
    service   with sentinels: the nodes are sentinels, and the server is the master of this name
    password  with sentinels: a file with their password, "" for none
    tls       null, or a table: verify (true, false), ca, certificate, key (files or ""), alpn (names)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendai_serve import supervisor

LOOPBACK = "127.0.0.1"
CONNECT = 5.0  # seconds for one server to answer
CHUNK = 64 * 1024  # bytes
LOOK = 1.0  # seconds between two questions to a sentinel
# A server that went away without a word is noticed after half a minute: seconds, seconds, count. The last
# one, in milliseconds, is for what was sent to it and never taken, which the kernel repeats for 15 minutes.
KEEPALIVE = {
    "TCP_KEEPIDLE": 15,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,
}

Address = tuple[str, int]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
FAILURES = (OSError, asyncio.TimeoutError, ValueError, asyncio.IncompleteReadError)


@dataclass
class Route:
    """One port and where it leads. `nodes` are kept in the order in which they are tried."""

    name: str
    port: int
    nodes: list[str]
    service: str = ""
    password: str = ""
    context: ssl.SSLContext | None = None
    said: str = field(default="", repr=False)
    master: Address | None = None  # with sentinels: the last one they named
    led: dict[asyncio.StreamWriter, Address] = field(default_factory=dict)  # open connections

    async def open(self) -> tuple[Stream, Address]:
        """A connection to the server. Raises ConnectionError with what every node answered."""
        failures = []
        for node in list(self.nodes):
            try:
                found = await self._by(node)
            except FAILURES as failure:
                failures.append(f"{node}: {reason(failure)}")
                continue
            self._prefer(node)
            self.say("; ".join([*failures, f"connected by {node}"]))
            return found
        self.say("; ".join(failures))
        raise ConnectionError

    def _prefer(self, node: str) -> None:
        self.nodes.remove(node)
        self.nodes.insert(0, node)

    async def _by(self, node: str) -> tuple[Stream, Address]:
        address = split(node)
        if self.service:
            address = await self._master(*address)
        return await self._connect(*address), address

    async def follow(self) -> None:
        """With sentinels: ask one of them for as long as it answers, then another, for ever."""
        while self.service:
            for node in list(self.nodes):
                with contextlib.suppress(*FAILURES):
                    await self._watch(node)
            await asyncio.sleep(LOOK)

    async def _watch(self, node: str) -> None:
        reader, writer = await self._connect(*split(node))
        with contextlib.closing(writer):
            await asyncio.wait_for(self._log_in(reader, writer), CONNECT)
            while True:
                self._lead_to(await asyncio.wait_for(self._ask(reader, writer), CONNECT))
                # Who connects asks the same one, so that both are told the same.
                self._prefer(node)
                await asyncio.sleep(LOOK)

    def _lead_to(self, master: Address) -> None:
        """End what leads elsewhere, once: a sentinel that is behind the others must not end it again."""
        if master == self.master:
            return
        self.master = master
        astray = [writer for writer, address in self.led.items() if address != master]
        for writer in astray:
            writer.transport.abort()
        if astray:
            self.say(f"{master[0]}:{master[1]} is the master now; {len(astray)} connections ended")

    async def _connect(self, host: str, port: int) -> Stream:
        name = host if self.context else None
        opening = asyncio.open_connection(host, port, ssl=self.context, server_hostname=name)
        reader, writer = await asyncio.wait_for(opening, CONNECT)
        keep_alive(writer)
        return reader, writer

    async def _master(self, host: str, port: int) -> Address:
        reader, writer = await self._connect(host, port)
        with contextlib.closing(writer):
            await asyncio.wait_for(self._log_in(reader, writer), CONNECT)
            return await asyncio.wait_for(self._ask(reader, writer), CONNECT)

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.password:
            password = Path(self.password).read_text("utf-8").strip()
            writer.write(command("AUTH", password))
            answer = await reader.readline()
            if not answer.startswith(b"+"):
                raise ConnectionError(answer.decode("utf-8", "replace").strip())

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Address:
        writer.write(command("SENTINEL", "get-master-addr-by-name", self.service))
        answer = await reader.readline()
        if answer.strip() != b"*2":
            said = answer.decode("utf-8", "replace").strip()
            raise ConnectionError(f"knows no {self.service}" if said.startswith("*") else said)
        words = []
        for _ in range(2):
            size = int((await reader.readline())[1:])
            words.append((await reader.readexactly(size + 2))[:-2].decode())
        return words[0], int(words[1])

    def say(self, text: str) -> None:
        """To the journal, once for as long as it is true."""
        if text != self.said:
            self.said = text
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, both ways, until one side closes."""
        with contextlib.closing(writer):
            try:
                (far_reader, far_writer), address = await self.open()
            except ConnectionError:
                return
            self.led[far_writer] = address
            with contextlib.closing(far_writer):
                ways = [
                    asyncio.ensure_future(copy(reader, far_writer)),
                    asyncio.ensure_future(copy(far_reader, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    del self.led[far_writer]
                    for way in ways:
                        way.cancel()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end, or the loss of either side; no faster than the slower one takes it."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


def load(path: Path) -> list[Route]:
    """The routes of a file, their certificates read. Raises OSError, ValueError, KeyError."""
    return [
        Route(
            name=row["name"],
            port=row["port"],
            nodes=list(row["nodes"]),
            service=row["service"],
            password=row["password"],
            context=context(row["tls"]) if row["tls"] else None,
        )
        for row in json.loads(path.read_text("utf-8"))
    ]


def context(tls: dict[str, Any]) -> ssl.SSLContext:
    """How to encrypt. Chain and host name are checked unless `verify` is off."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls["verify"]:
        made.load_verify_locations(cafile=tls["ca"])
    else:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if tls["certificate"]:
        made.load_cert_chain(tls["certificate"], tls["key"])
    if tls["alpn"]:
        made.set_alpn_protocols(tls["alpn"])
    return made


def split(node: str) -> tuple[str, int]:
    """Host, without brackets, and port of HOST:PORT."""
    host, _, port = node.rpartition(":")
    return host.strip("[]"), int(port)


def command(*words: str) -> bytes:
    """A command as Valkey reads it."""
    parts = [f"*{len(words)}\r\n".encode()]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in map(str.encode, words)]
    return b"".join(parts)


def keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the kernel notice a server that is gone."""
    found: socket.socket = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def reason(failure: BaseException) -> str:
    """Why a server did not answer, in a few words."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {failure.verify_message}"
    if isinstance(failure, asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused"
    return getattr(failure, "strerror", None) or str(failure) or type(failure).__name__


async def run(routes: list[Route], ready: Callable[[], None]) -> None:
    """Serve all routes until SIGTERM or SIGINT; `ready` is called once all ports are bound."""
    servers = [await asyncio.start_server(r.serve, LOOPBACK, r.port, limit=CHUNK) for r in routes]
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    followers = [asyncio.ensure_future(route.follow()) for route in routes]
    ready()
    pause = int(os.environ.get("WATCHDOG_USEC", "0")) / 3e6 or None
    while not over.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), pause)
        supervisor.notify("WATCHDOG=1")
    for follower in followers:
        follower.cancel()
    for server in servers:
        server.close()


def main() -> None:
    routes = load(Path(sys.argv[1]))
    asyncio.run(run(routes, lambda: supervisor.notify("READY=1")))


if __name__ == "__main__":
    main()
