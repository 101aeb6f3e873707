"""With upstream's own client: a service whose unit names a user logs in to Valkey as that one."""

from __future__ import annotations

import pytest
from upstream import Upstream

MADE = """
import os, pathlib, tempfile
folder = tempfile.mkdtemp()
pathlib.Path(folder, "cache-webserver").write_text("its own\\n")
os.environ.update({environment}, CREDENTIALS_DIRECTORY=folder)
from ai.backend.common.clients.valkey_client import client
made = client.ServerCredentials(password="shared")
print(made.username, made.password)
"""

AGREE = """
import importlib.util, re
from ai.backend.common import defs
from backendai_serve import cache, web
for ours, name in ((web, web.SERVER), (cache, cache.OF_MANAGER)):
    text = ours.SOURCES[name](open(importlib.util.find_spec(name).origin).read())
    part = text[text.index("await ValkeySessionClient.create("):]
    print(re.search(r"db_id=\\w+", part)[0])
print(cache.LOGINS > max(value for name, value in vars(defs).items() if name.startswith("REDIS_")))
"""


@pytest.mark.parametrize(
    ("environment", "said"),
    [({"BACKENDAI_CACHE_USER": "webserver"}, "webserver its own"), ({}, "None shared")],
)
def test_it_is_a_user_of_its_own(
    upstream: Upstream, environment: dict[str, str], said: str
) -> None:
    made = upstream.run(MADE.replace("{environment}", repr(environment)))
    assert made.strip() == said


def test_web_server_and_manager_agree_on_where_logins_are(upstream: Upstream) -> None:
    """And it is none of upstream's own."""
    made = upstream.run(AGREE)
    assert made.splitlines() == ["db_id=9", "db_id=9", "True"]
