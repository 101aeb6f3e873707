"""What a running service was given: whatever of it changes, the service starts anew."""

from __future__ import annotations

import pytest

from backendai_ctl.context import Context
from backendai_ctl.platform import files
from backendai_ctl.services.state import fingerprint


@pytest.mark.parametrize(
    ("component", "changed"),
    [
        ("agent", "agent.toml"),
        ("agent", "rpc/manager.key"),
        ("agent", "rpc/agent.key_secret"),
        ("manager", "tls/trust.crt"),  # it keeps seeing the one of before
    ],
)
def test_another_file_is_another_fingerprint(ctx: Context, component: str, changed: str) -> None:
    known = ctx.facts.components[component]
    before = fingerprint(ctx, known)
    assert fingerprint(ctx, known) == before
    files.write(ctx.paths.config / changed, "another\n", mode=0o600)
    assert fingerprint(ctx, known) != before
