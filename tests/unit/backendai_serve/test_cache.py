"""With upstream's own client: a service whose unit names a user logs in to Valkey as that one."""

from __future__ import annotations

import pytest
from upstream import Upstream

MADE = """
import os
os.environ.update({environment})
from ai.backend.common.clients.valkey_client import client
made = client.ServerCredentials(password="secret")
print(made.username, made.password)
"""


@pytest.mark.parametrize(
    ("environment", "said"),
    [({"BACKENDAI_CACHE_USER": "webserver"}, "webserver secret"), ({}, "None secret")],
)
def test_it_is_a_user_of_its_own(
    upstream: Upstream, environment: dict[str, str], said: str
) -> None:
    made = upstream.run(MADE.replace("{environment}", repr(environment)))
    assert made.split() == said.split()
