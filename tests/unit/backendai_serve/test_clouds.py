"""With upstream's own module, as the lock has it."""

from __future__ import annotations

import pytest
from upstream import Upstream

IMPORT = """
import asyncio, socket
asked = []

class Loop(asyncio.SelectorEventLoop):
    async def sock_connect(self, sock, address):
        asked.append(address)
        raise OSError("no")

asyncio.set_event_loop_policy(None)
asyncio.new_event_loop = Loop
asyncio.runners.events.new_event_loop = Loop
from ai.backend.common import identity
assert identity.current_provider is None
print(sorted({address[0] for address in asked}))
"""


@pytest.mark.parametrize(("changed", "asked"), [(True, "[]"), (False, "['169.254.169.254']")])
def test_nobody_asks_the_metadata_server_of_a_cloud(
    upstream: Upstream, changed: bool, asked: str
) -> None:
    assert upstream.run(IMPORT, changed=changed).strip() == asked
