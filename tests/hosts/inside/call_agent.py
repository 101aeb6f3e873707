"""Orders an agent as its manager does, but without a key; its Python code runs wherever it is unpickled.

    call_agent.py HOST PORT PATH

Prints what the agent answered, `refused` if it wants a key, nothing if no answer came in time. PATH is
made by whoever unpickles.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import pickle
import sys
from typing import Any

TIMEOUT = 8  # seconds; an agent that takes orders answers at once
DECIMAL = 3  # a kind of object that upstream sends pickled


class Payload:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


async def call(host: str, port: str, path: str) -> str:
    # Imported by name: only the environment under test has them.
    zeromq: Any = importlib.import_module("callosum.lower.zeromq")
    rpc: Any = importlib.import_module("callosum.rpc")
    msgpack: Any = importlib.import_module("msgpack")
    evil = msgpack.ExtType(DECIMAL, pickle.dumps(Payload(path)))
    body = {"args": ["hello"], "kwargs": {}, "also": evil}
    peer = rpc.Peer(
        connect=zeromq.ZeroMQAddress(f"tcp://{host}:{port}"),
        transport=zeromq.ZeroMQRPCTransport,
        serializer=msgpack.packb,
        deserializer=lambda data: msgpack.unpackb(data, strict_map_key=False),
        invoke_timeout=TIMEOUT,
    )
    exceptions: Any = importlib.import_module("callosum.exceptions")
    try:
        await peer.__aenter__()
    except exceptions.AuthenticationError:
        return "refused"
    return str(await asyncio.wait_for(peer.invoke("ping", body), TIMEOUT))


def main() -> None:
    with contextlib.suppress(TimeoutError):
        print(asyncio.run(asyncio.wait_for(call(*sys.argv[1:]), 2 * TIMEOUT)), flush=True)
    os._exit(0)  # without the farewell, which waits for an agent that said nothing


if __name__ == "__main__":
    main()
