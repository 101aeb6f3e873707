"""Make the secrets this host needs, each once; they are never changed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.nodes import here, layout
from backendai_ctl.secrets import GENERATED
from backendai_ctl.servers import USERS
from backendai_ctl.steps.base import Change
from backendai_ctl.steps.services import ready_mark
from backendai_ctl.system import files

# The components that hold a secret; of a node without them it is not needed.
_HOLDERS = {
    "admin-password": {"manager"},
    "admin-secret-key": {"manager"},
    "appproxy-api": {"manager", "appproxy-coordinator", "appproxy-worker"},
    "appproxy-jwt": {"appproxy-coordinator", "appproxy-worker"},
    "appproxy-permit": {"appproxy-coordinator", "appproxy-worker"},
    "database-coordinator": {"appproxy-coordinator"},
    "database-manager": {"manager"},
    "storage-manager": {"manager", "storage-proxy"},
    "storage-token": {"storage-proxy"},
}


def needed(ctx: Context) -> list[str]:
    """Names of the secrets that are generated for this host, in a fixed order."""
    return [name for name in GENERATED if name not in set(_not_ours(ctx))]


def joined(ctx: Context) -> bool:
    """Whether secrets and certificates of this host come from another node of the site."""
    return ctx.node != layout.origin(ctx.site, ctx.facts)


def _not_ours(ctx: Context) -> Iterator[str]:
    """Those that components elsewhere hold, or that the operator gave in a file."""
    installed = set(ctx.facts.installed())
    if ctx.node and not joined(ctx):  # it makes those of all nodes
        installed = {
            c for n in ctx.site.nodes for c in layout.components_of(ctx.site, ctx.facts, n)
        }
    for name, holders in _HOLDERS.items():
        if not holders & installed:
            yield name
    site = ctx.site
    if ctx.node:  # a single host has all
        if not installed & set(USERS["valkey"]):
            yield "cache-password"
        if not installed & set(USERS["etcd"]):
            yield "etcd-password"
    if site.database.manager.password_file:
        yield "database-manager"
    if site.database.coordinator.password_file:
        yield "database-coordinator"
    if site.cache.password_file:
        yield "cache-password"
    if site.etcd.password_file or site.etcd.user is None:
        yield "etcd-password"
    if site.etcd.mode == "external" or site.etcd.user is None:
        yield from ("etcd-root-password", "etcd-token")


def _moved(ctx: Context, missing: list[str]) -> Problem | None:
    """What the site file's order of nodes would move: secrets and servers stay where they are."""
    first, joined_once = layout.origin(ctx.site, ctx.facts), here.name_file(ctx.facts).exists()
    if joined(ctx) and not joined_once and files.read(ready_mark(ctx, "manager")):
        return Problem(
            f"nodes: {first} now comes before {ctx.node}, which made the site's secrets and runs its "
            "servers",
            hint=f"put [nodes.{ctx.node}] before [nodes.{first}] again",
        )
    has = any(ctx.secrets.exists(name) for name in GENERATED)
    if ctx.node == first and joined_once and missing and has:
        return Problem(
            f"nodes: {ctx.node} now comes first, but it joined the site: another node made its "
            "secrets and runs its servers",
            hint=f"put that node before [nodes.{ctx.node}] again",
        )
    return None


@dataclass(frozen=True)
class CreateSecrets:
    """Random passwords and keys, below /etc/backendai/secrets."""

    name: str = "create-secrets"
    title: str = "Generate secrets"
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    limit: int = 30

    def check(self, ctx: Context) -> list[Change]:
        missing = [name for name in needed(ctx) if not ctx.secrets.exists(name)]
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
        for name in needed(ctx):
            ctx.secrets.create(name)

    def undo(self, ctx: Context) -> None:
        """Nothing: databases, etcd and folders know these secrets and outlive the packages."""


STEP = CreateSecrets()
