"""The key pairs by which agents and their manager know each other (CurveZMQ).

The manager's is made once and never replaced: agents of other nodes have its public half. Every agent
has one of its own, and tells its public half with each heartbeat: without it whoever reaches the
agent's port, on a single host every local process, could give it orders. The files are as
`backend.ai mgr generate-rpc-keypair` writes them, which is zmq.auth's own form.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from zmq.auth.certs import create_certificates, load_certificate

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files

NAME = "manager"
_MODES = {f"{NAME}.key": 0o644, f"{NAME}.key_secret": 0o600}
AGENT = "agent"


def folder(ctx: Context) -> Path:
    return ctx.paths.config / "rpc"


def agent_keys(ctx: Context) -> tuple[Path, Path]:
    """What an agent is given: the manager's public half, its own pair."""
    return folder(ctx) / f"{NAME}.key", folder(ctx) / f"{AGENT}.key_secret"


def _makes_managers(ctx: Context) -> bool:
    """Nodes without a manager are given its public half; a single host has nobody to give it."""
    return ctx.here("manager") or not ctx.node


class CreateRpcKeypair(Step):
    name = "create-rpc-keypair"
    title = "Create the key pair between manager and agents"
    components = ("manager", "agent")
    timeout = 30

    def check(self, ctx: Context) -> list[Change]:
        return [*self._manager(ctx), *self._agent(ctx)]

    def _agent(self, ctx: Context) -> list[Change]:
        if not ctx.here("agent"):
            return []
        public, secret = agent_keys(ctx)
        if not public.exists() and not _makes_managers(ctx):
            raise Problem(
                f"{public}: the manager's public key is not here",
                hint="it comes with this node's file: backendai-ctl node join FILE",
            )
        return [] if secret.exists() else [Change(str(secret), "make a key pair")]

    def _manager(self, ctx: Context) -> list[Change]:
        if not _makes_managers(ctx):
            return []
        public, secret = _paths(ctx)
        if not secret.exists():
            if public.exists():
                raise Problem(
                    f"{public} is here, but {secret.name} is not: agents know the manager by them",
                    hint=f"restore {secret} from a backup; or move {public} away, run "
                    "backendai-ctl reconfigure and give the new one to all agents",
                )
            return [Change(str(secret), "make a key pair")]
        _load(secret)
        wrong = [p for p in (public, secret) if not p.exists() or _mode(p) != _MODES[p.name]]
        return [Change(str(path), f"write it with mode {_MODES[path.name]:o}") for path in wrong]

    def apply(self, ctx: Context) -> None:
        files.make_folder(folder(ctx), mode=0o755)
        if _makes_managers(ctx):
            self._apply_manager(ctx)
        if self._agent(ctx):
            self._create(ctx, [agent_keys(ctx)[1]], AGENT)

    def _apply_manager(self, ctx: Context) -> None:
        public, secret = _paths(ctx)
        if not secret.exists():
            self._create(ctx, [public, secret], NAME)
        # Killed between the two files: the secret one holds both halves.
        key = load_certificate(secret)[0].decode()
        text = files.read(public) or f'metadata\ncurve\n    public-key = "{key}"\n'
        files.write(secret, secret.read_text("utf-8"), mode=_MODES[secret.name])
        files.write(public, text, mode=_MODES[public.name])

    def undo(self, ctx: Context) -> None:
        """Nothing: the agents of other nodes know the manager by it."""

    def _create(self, ctx: Context, wanted: list[Path], name: str) -> None:
        scratch = ctx.paths.config / ".rpc.new"  # one name: what a kill left is found again
        shutil.rmtree(scratch, ignore_errors=True)
        files.make_folder(scratch, mode=0o700)
        try:
            create_certificates(str(scratch), name)
            for path in reversed(wanted):
                text = (scratch / path.name).read_text("utf-8")
                files.write(path, text, mode=_MODES.get(path.name, 0o600))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _paths(ctx: Context) -> tuple[Path, Path]:
    public, secret = (folder(ctx) / name for name in _MODES)
    return public, secret


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def _load(secret: Path) -> None:
    try:
        _, half = load_certificate(secret)
    except (OSError, ValueError) as error:
        raise Problem(f"{secret}: {error}", hint="restore it from a backup") from error
    if half is None:
        raise Problem(f"{secret}: no secret key in it", hint="restore it from a backup")
