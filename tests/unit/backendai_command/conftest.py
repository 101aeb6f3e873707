"""The client as the lock has it."""

from __future__ import annotations

import pytest
from upstream import Upstream, shared, unpack


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """Code of the client and all that it needs."""
    return unpack(shared(tmp_path_factory), ["backend-ai-client"])
