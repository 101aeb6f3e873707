"""Has a service log in to Valkey as a user of its own: upstream's settings know a password alone.

Its unit has the name in the environment, where the site's Valkey has such a user.
"""

from __future__ import annotations

import os
from functools import partial
from types import ModuleType

from backendai_serve.patches import part

CLIENT = "ai.backend.common.clients.valkey_client.client"
USER = "BACKENDAI_CACHE_USER"


def log_in_as_itself(module: ModuleType) -> None:
    credentials = part(module, "ServerCredentials")
    if user := os.environ.get(USER):
        module.ServerCredentials = partial(credentials, username=user)  # type: ignore[attr-defined]


EXECUTED = {CLIENT: log_in_as_itself}
