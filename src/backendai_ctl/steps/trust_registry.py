"""The container engine of this host takes images from the site's registries by their authorities.

Docker looks there for each registry at every pull (docs of its certs.d); nothing has to be restarted, and
an engine of the host's own trusts those registries by it and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import NO_COMPONENT, Step
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files
from backendai_ctl.topology import registry

CERTIFICATES = Path("/etc/docker/certs.d")
NAME = "backendai.crt"  # Docker takes every file that ends so
OURS = "# Kept by backendai-ctl.\n"  # its first line; a file without it is the operator's


class TrustRegistry(Step):
    """It keeps no agent from starting: sessions whose images are there need no registry."""

    name = "trust-registry"
    title = "Trust the registry of images"
    needs = ("create-certificates",)
    components = NO_COMPONENT
    timeout = 30

    def check(self, ctx: Context) -> list[Change]:
        wanted = _wanted(ctx)
        found = [Change(str(path), "remove it: no registry is there") for path in _others(wanted)]
        for path, authority in wanted.items():
            if files.read(path) != _text(ctx, authority):
                found.append(Change(str(path), "write it"))
        return found

    def apply(self, ctx: Context) -> None:
        wanted = _wanted(ctx)
        for path in _others(wanted):
            _remove(path)
        for path, authority in wanted.items():
            files.write(path, _text(ctx, authority), mode=0o644)

    def undo(self, ctx: Context) -> None:
        wanted = _wanted(ctx)
        for path in [*_others(wanted), *filter(_ours, wanted)]:
            _remove(path)


def _wanted(ctx: Context) -> dict[Path, Path]:
    """Files for the engine, and the authority in each.

    None for a registry on loopback, which Docker takes as it is, nor for one whose authority the host trusts.
    """
    if not ctx.here("agent"):
        return {}
    named = {one.host: one.ca for one in ctx.site.registries.values() if one.ca}
    if registry.usable(ctx) and registry.secure(ctx):
        named[registry.host(ctx)] = ctx.paths.tls / "ca.crt"
    return {CERTIFICATES / host / NAME: authority for host, authority in named.items()}


def _others(wanted: Mapping[Path, Path]) -> list[Path]:
    """Files of ours for registries that are the site's no more."""
    found = sorted(CERTIFICATES.glob(f"*/{NAME}"))
    return [path for path in found if path not in wanted and _ours(path)]


def _ours(path: Path) -> bool:
    return (files.read(path) or "").startswith(OURS)


def _text(ctx: Context, authority: Path) -> str:
    text = files.read(authority)
    if text is None:
        raise Problem(
            f"{authority}: the authority of a registry is not here",
            hint=f"on the management node: backendai-ctl node export {ctx.node}; here: "
            "backendai-ctl node join FILE",
        )
    return OURS + text


def _remove(path: Path) -> None:
    """The file, and its folders if nobody put more into them."""
    files.remove(path)
    for folder in (path.parent, CERTIFICATES):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
