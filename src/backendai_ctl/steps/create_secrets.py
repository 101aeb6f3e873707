"""Make the secrets this host needs, each once; they are never changed afterwards."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files
from backendai_ctl.topology import here, layout
from backendai_ctl.topology.holders import joined, required


def _moved(ctx: Context, missing: list[str]) -> Problem | None:
    """What the site file's order of nodes would move: secrets and servers stay where they are."""
    first, joined_once = layout.origin(ctx.site, ctx.facts), here.name_file(ctx.facts).exists()
    if joined(ctx) and not joined_once and files.read(ctx.paths.ready("manager")):
        return Problem(
            f"nodes: {first} now comes before {ctx.node}, which made the site's secrets and runs its "
            "servers",
            hint=f"put [nodes.{ctx.node}] before [nodes.{first}] again",
        )
    has = any(ctx.secrets.exists(name) for name in ctx.facts.holders())
    if ctx.node == first and joined_once and missing and has:
        return Problem(
            f"nodes: {ctx.node} now comes first, but it joined the site: another node made its "
            "secrets and runs its servers",
            hint=f"put that node before [nodes.{ctx.node}] again",
        )
    return None


class CreateSecrets(Step):
    """Random passwords and keys, below /etc/backendai/secrets."""

    name = "create-secrets"
    title = "Generate secrets"
    timeout = 30

    def check(self, ctx: Context) -> list[Change]:
        missing = [name for name in required(ctx) if not ctx.secrets.exists(name)]
        if moved := _moved(ctx, missing):
            raise moved
        if missing and joined(ctx):
            raise Problem(
                f"{', '.join(str(ctx.secrets.path(name)) for name in missing)}: not here",
                hint="they come with this node's file: backendai-ctl node join FILE",
            )
        return [Change(str(ctx.secrets.path(name)), "generate it") for name in missing]

    def apply(self, ctx: Context) -> None:
        self.check(ctx)  # a node that joined makes none
        files.make_folder(ctx.paths.secrets, mode=0o700)
        for name in required(ctx):
            ctx.secrets.create(name)

    def undo(self, ctx: Context) -> None:
        """Nothing: databases, etcd and folders know these secrets and outlive the packages."""
