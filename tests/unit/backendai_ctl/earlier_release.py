"""What release 26.9.6-1 left on a host: the traces by which its servers are known."""

from __future__ import annotations

import json

from backendai_ctl.context import Context
from backendai_ctl.platform import units
from backendai_ctl.rendering.render import base_path
from backendai_ctl.topology import holders

WRITTEN = "# Written by backendai-ctl; /etc/default/etcd overrides it.\n[Service]\n"
GIVEN = {
    "manager": '[etcd]\naddr = {host = "127.0.0.1", port = 2379}\n'
    '[db]\naddrs = [{host = "127.0.0.1", port = 5432}]\n',
    "webserver": '[session.redis]\naddr = "127.0.0.1:6379"\n',
}
STEPS = ("create-databases", "prepare-cache", "prepare-etcd", "render-configs")


def leave(ctx: Context) -> None:
    """All three servers are Debian's, and this host was configured with them."""
    for name in holders.needed(ctx):
        ctx.secrets.create(name)
    for name, text in GIVEN.items():
        path = base_path(ctx, ctx.facts.components[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    ended(ctx, dict.fromkeys(STEPS, "done"))
    for unit in ("valkey-server.service", "etcd.service"):
        path = units.FOLDER / f"{unit}.d/backendai.conf"
        path.parent.mkdir(parents=True)
        path.write_text(WRITTEN)


def ended(ctx: Context, states: dict[str, str]) -> None:
    """The result of the last run, as the journal keeps it."""
    steps = {name: {"state": state, "what": "", "hint": ""} for name, state in states.items()}
    result = ctx.paths.ctl / "result.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps({"finished": "2020-01-01T00:00:00+00:00", "steps": steps}))
