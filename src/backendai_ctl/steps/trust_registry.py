"""The container engine of this host takes images from the site's registry by the site's authority.

Docker looks there for each registry at every pull (docs of its certs.d); nothing has to be restarted, and
an engine of the host's own trusts that one registry by it and nothing else.
"""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import NO_COMPONENT, Step
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files
from backendai_ctl.topology import registry

CERTIFICATES = Path("/etc/docker/certs.d")
NAME = "backendai.crt"  # Docker takes every file that ends so


class TrustRegistry(Step):
    """It keeps no agent from starting: sessions whose images are there need no registry."""

    name = "trust-registry"
    title = "Trust the registry of images"
    needs = ("create-certificates",)
    components = NO_COMPONENT
    timeout = 30

    def check(self, ctx: Context) -> list[Change]:
        wanted, old = _wanted(ctx), _others(ctx)
        found = [Change(str(path), "remove it: the registry is elsewhere") for path in old]
        if wanted and files.read(wanted) != _authority(ctx):
            found.append(Change(str(wanted), "write it"))
        return found

    def apply(self, ctx: Context) -> None:
        for path in _others(ctx):
            _remove(path)
        if wanted := _wanted(ctx):
            files.write(wanted, _authority(ctx), mode=0o644)

    def undo(self, ctx: Context) -> None:
        for path in [*_others(ctx), *filter(None, [_wanted(ctx)])]:
            _remove(path)


def _wanted(ctx: Context) -> Path | None:
    """The file; None where the registry is on loopback, which Docker takes as it is, or is none."""
    if not (ctx.here("agent") and registry.usable(ctx) and registry.secure(ctx)):
        return None
    return CERTIFICATES / registry.host(ctx) / NAME


def _others(ctx: Context) -> list[Path]:
    """Files of ours for a registry that is not the site's any more."""
    wanted = _wanted(ctx)
    return [path for path in sorted(CERTIFICATES.glob(f"*/{NAME}")) if path != wanted]


def _authority(ctx: Context) -> str:
    path = ctx.paths.tls / "ca.crt"
    text = files.read(path)
    if text is None:
        raise Problem(
            f"{path}: the site's authority is not here",
            hint=f"on the management node: backendai-ctl node export {ctx.node}; here: "
            "backendai-ctl node join FILE",
        )
    return text


def _remove(path: Path) -> None:
    """The file, and its folders if nobody put more into them."""
    files.remove(path)
    for folder in (path.parent, CERTIFICATES):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
