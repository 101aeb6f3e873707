"""Write the services' settings to etcd; what you changed there stays."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.etcd import access, seed
from backendai_ctl.services import serving


class SeedEtcd(Step):
    name = "seed-etcd"
    title = "Write settings to etcd"
    needs = ("create-secrets", "prepare-etcd")
    components = ("manager",)
    timeout = 90

    def check(self, ctx: Context) -> list[Change]:
        if not access.seeds(ctx):
            return []
        client = access.connect(ctx)
        planned = seed.plan(ctx, client)
        found = [
            Change(key, seed.difference(key, *pair)) for key, pair in planned.merge.changes.items()
        ]
        if planned.needed and not found:
            found = [Change("base", "remember what is shipped now")]
        if not found and not seed.flagged(ctx, client):
            found = [Change("settings in etcd", "were seeded again: services must read them")]
        return found

    def apply(self, ctx: Context) -> None:
        planned = seed.seed(ctx)
        for key, (yours, shipped) in planned.merge.kept.items():
            ctx.say(f"  kept your {key}: {seed.difference(key, shipped, yours)}")

    def undo(self, ctx: Context) -> None:
        if access.seeds(ctx) and not serving.at_rest(ctx, "etcd"):
            seed.forget(ctx)
