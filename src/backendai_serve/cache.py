"""Has a service log in to Valkey as a user of its own, and keeps apart there who is signed in.

Upstream's settings know a password alone, the same for all services, and its web server and manager keep
who is signed in beside figures that every agent writes: who can read it can be any user. A unit that has
a user at the site's Valkey has the name in the environment, and the password as a credential.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from backendai_serve.patches import exchanged, part

CLIENT = "ai.backend.common.clients.valkey_client.client"
OF_MANAGER = "ai.backend.manager.dependencies.infrastructure.redis"
USER = "BACKENDAI_CACHE_USER"
LOGINS = 9  # of Valkey's databases, that for who is signed in; BUILD files say who enters it


def log_in_as_itself(module: ModuleType) -> None:
    credentials = part(module, "ServerCredentials")
    user = os.environ.get(USER)
    if not user:
        return
    secret = Path(os.environ["CREDENTIALS_DIRECTORY"], f"cache-{user}")

    def own(**_given: Any) -> Any:
        return credentials(username=user, password=secret.read_text("utf-8").strip())

    module.ServerCredentials = own  # type: ignore[attr-defined]


def keep_logins_apart(text: str) -> str:
    name = """
                human_readable_name="session","""
    return exchanged(
        OF_MANAGER,
        text,
        f"                db_id=REDIS_STATISTICS_DB,{name}",
        f"                db_id={LOGINS},{name}",
    )


SOURCES = {OF_MANAGER: keep_logins_apart}
EXECUTED = {CLIENT: log_in_as_itself}
