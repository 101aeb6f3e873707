"""Write the components' configuration files; what the operator edited in them is kept."""

from __future__ import annotations

import contextlib

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.platform import files
from backendai_ctl.rendering.merged import Merged, merged
from backendai_ctl.rendering.render import base_path, with_config
from backendai_ctl.topology import holders


class RenderConfigs(Step):
    """Three-way by key: shipped before, yours, shipped now."""

    name = "render-configs"
    title = "Write the services' configuration"
    needs = (*("create-secrets", "move-servers", "create-certificates", "create-rpc-keypair"),)
    timeout = 60

    def check(self, ctx: Context) -> list[Change]:
        here = with_config(ctx)
        if not all(ctx.secrets.exists(name) for name in holders.needed(ctx)):
            return [Change(str(ctx.paths.config / c.config), "write it") for c in here]
        return [change for c in here for change in _changes(merged(ctx, c))]

    def apply(self, ctx: Context) -> None:
        # All are merged before the first is written: a broken one leaves all as they are.
        for done in [merged(ctx, component) for component in with_config(ctx)]:
            files.write(done.path, done.result, mode=0o600)
            files.write(done.base_path, done.new, mode=0o600)

    def undo(self, ctx: Context) -> None:
        """Remove the files that nobody edited, and what we remember of the others."""
        for component in ctx.facts.components.values():
            if not component.config:
                continue
            path, base = ctx.paths.config / component.config, base_path(ctx, component)
            with contextlib.suppress(FileNotFoundError):
                if path.read_bytes() == base.read_bytes():
                    path.unlink()
                base.unlink()


def _changes(done: Merged) -> list[Change]:
    path = str(done.path)
    if done.up_to_date:
        return []
    if done.yours is None:
        return [Change(path, "write it")]
    kept = [Change(path, f"your edit is kept: {line}") for line in done.lines(_yours(done))]
    if done.merge.changes:
        return [Change(path, line) for line in done.lines(done.merge.changes)] + kept
    if done.changed:
        return [Change(path, "new comments or order")]
    return [Change(str(done.base_path), "remember what is shipped now"), *kept]


def _yours(done: Merged) -> dict[str, tuple[object, object]]:
    """Kept edits as shipped -> yours."""
    return {key: (new, yours) for key, (yours, new) in done.merge.kept.items()}
