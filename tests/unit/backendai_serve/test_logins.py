"""Promise: a service logs in to etcd again when its users changed. With upstream's own client."""

from __future__ import annotations

import pytest
from upstream import Upstream

# An etcd that knows how often its users changed, and whether it takes this one at all.
STORY = """
import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from ai.backend.common import etcd
from ai.backend.common.types import HostPortPair

OLD = {"code": 3, "message": "etcdserver: revision of auth store is old"}
INVALID = {"code": 16, "message": "etcdserver: invalid auth token"}
DENIED = {"code": 7, "message": "etcdserver: permission denied"}
WRONG = {"code": 3, "message": "etcdserver: authentication failed, invalid user ID or password"}
now = SimpleNamespace(revision=1, says=OLD, taken=True, logins=0, written=[], denied=False)

class Connection:
    def __init__(self):
        if not now.taken:
            raise etcd.GRPCStatusError(WRONG)
        now.logins += 1
        self.revision = now.revision

    def look(self):
        if self.revision != now.revision:
            raise etcd.GRPCStatusError(now.says)
        if now.denied:
            raise etcd.GRPCStatusError(DENIED)

    async def get(self, key):
        self.look()
        return b"value"

    async def put(self, key, value):
        self.look()
        now.written.append(value)

    async def watch(self, key, ready_event=None):
        if self.revision == now.revision:  # etcd's client says nothing of one that was refused
            yield SimpleNamespace(key=key, event="put", value=b"seen")

@asynccontextmanager
async def connect(_):
    yield Connection()

async def tried(act):
    try:
        return await act
    except etcd.GRPCStatusError as error:
        return error.args[0]["message"]

async def watched(client):
    async for event in client.watch("x"):
        return event.value
    return "nothing"

async def main():
    client = etcd.AsyncEtcd(HostPortPair("127.0.0.1", 1), "local", {etcd.ConfigScopes.GLOBAL: ""})
    client.etcd = SimpleNamespace(connect=connect)
    await client.open()
    print(await tried(client.get("x")), now.logins)
    now.revision += 1
    print(await watched(client))
    now.revision += 1
    print(await tried(client.put("x", "1")), now.written, now.logins)
    now.revision, now.says = now.revision + 1, INVALID
    print(*await asyncio.gather(*(tried(client.get("x")) for _ in range(3))), now.logins > 1)
    now.denied, before = True, now.logins
    print(await tried(client.get("x")), now.logins == before)
    now.taken, now.revision = False, now.revision + 1
    print(await tried(client.get("x")))

asyncio.run(main())
"""
REFUSED = "etcdserver: revision of auth store is old"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            True,
            [
                "value 1",
                "seen",
                "None [b'1'] 3",
                "value value value True",
                "etcdserver: permission denied True",
                "etcdserver: authentication failed, invalid user ID or password",
            ],
        ),
        (
            False,
            [
                "value 1",
                "nothing",
                f"{REFUSED} [] 1",
                " ".join(["etcdserver: invalid auth token"] * 3) + " False",
                "etcdserver: invalid auth token True",
                "etcdserver: invalid auth token",
            ],
        ),
    ],
)
def test_a_token_that_is_refused_is_replaced(
    upstream: Upstream, changed: bool, said: list[str]
) -> None:
    """And what etcd denies, or a user that it knows no more, is told as it is."""
    assert upstream.run(STORY, changed=changed).splitlines() == said
