"""Write the services' settings to etcd; what you changed there stays."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.etcd import access, seed
from backendai_ctl.steps import serving
from backendai_ctl.steps.base import Change


@dataclass(frozen=True)
class SeedEtcd:
    name: str = "seed-etcd"
    title: str = "Write settings to etcd"
    needs: tuple[str, ...] = ("create-secrets", "prepare-etcd")
    components: tuple[str, ...] = ("manager",)
    limit: int = 90

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
        if not found and not seed.marked(ctx, client):
            found = [Change("settings in etcd", "were seeded anew: services have to read them")]
        return found

    def apply(self, ctx: Context) -> None:
        planned = seed.seed(ctx)
        for key, (yours, shipped) in planned.merge.kept.items():
            ctx.say(f"  kept your {key}: {seed.difference(key, shipped, yours)}")

    def undo(self, ctx: Context) -> None:
        if access.seeds(ctx) and not serving.at_rest(ctx, "etcd"):
            seed.forget(ctx)


STEP = SeedEtcd()
