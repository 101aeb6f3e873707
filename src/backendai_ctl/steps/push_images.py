"""The registry of this host holds the images that came with the release."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import NO_COMPONENT, Step
from backendai_ctl.images import layout, pushing, removing
from backendai_ctl.topology import registry


class PushImages(Step):
    """Only what is missing is sent; an image that somebody pushed under another name stays.

    One that was removed by a command does not come back by itself.
    """

    name = "push-images"
    title = "Fill the registry of images"
    needs = ("create-user",)
    components = NO_COMPONENT
    timeout = 1800

    def check(self, ctx: Context) -> list[Change]:
        return [
            Change(f"image {image.name}", f"push it ({image.size / 1e6:.0f} MB)")
            for image in _missing(ctx)
        ]

    def apply(self, ctx: Context) -> None:
        if missing := _missing(ctx):
            pushing.push(ctx, missing)

    def undo(self, ctx: Context) -> None:
        """Nothing: images are data of the registry, which go with its."""


def _missing(ctx: Context) -> list[layout.Image]:
    if not (registry.here(ctx) and registry.usable(ctx)):
        return []
    return [one for one in removing.of_release(ctx) if not pushing.held(ctx, one)]
