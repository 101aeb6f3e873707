"""Make the secrets this host needs, and those that are other nodes' alone, each once.

They are never changed afterwards.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files
from backendai_ctl.secrets import Secrets
from backendai_ctl.topology import here, layout
from backendai_ctl.topology.holders import joined, of_nodes, required


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


def _of_nodes(ctx: Context) -> Iterator[tuple[Secrets, str]]:
    """What other nodes hold alone, by name, and where it is kept here."""
    for node, name in of_nodes(ctx):
        yield ctx.secrets.of_node(node), name


def _left(ctx: Context) -> list[Path]:
    """What was made for nodes that the site file does not name any more."""
    kept = ctx.secrets.of_node("")
    there = sorted(kept.folder.iterdir()) if kept.folder.is_dir() else []
    return [path for path in there if path.name not in ctx.site.nodes]


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
        made = [ctx.secrets.path(name) for name in missing]
        made += [one.path(name) for one, name in _of_nodes(ctx) if not one.exists(name)]
        gone = [Change(str(path), "remove it: no such node") for path in _left(ctx)]
        return [*(Change(str(path), "generate it") for path in made), *gone]

    def apply(self, ctx: Context) -> None:
        self.check(ctx)  # a node that joined makes none
        files.make_folder(ctx.paths.secrets, mode=0o700)
        for name in required(ctx):
            ctx.secrets.create(name)
        for one, name in _of_nodes(ctx):
            files.make_folder(one.folder.parent, mode=0o700)
            one.create(name)
        for path in _left(ctx):
            shutil.rmtree(path)

    def undo(self, ctx: Context) -> None:
        """Nothing: databases, etcd and folders know these secrets and outlive the packages."""
