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


def test_a_plugin_that_came_or_went_is_another_fingerprint(ctx: Context) -> None:
    agent, manager = (ctx.facts.components[name] for name in ("agent", "manager"))
    before, of_manager = fingerprint(ctx, agent), fingerprint(ctx, manager)
    drop_in = ctx.paths.units / f"{agent.unit}.d/backendai-accelerator-rocm.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\n")
    assert fingerprint(ctx, agent) != before
    assert fingerprint(ctx, manager) == of_manager
    drop_in.unlink()
    assert fingerprint(ctx, agent) == before
