"""The manager knows the site's registry, and the images that are in it."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import registry as rows_of
from backendai_ctl.database.connection import Connection, connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.database.populate import populate, rescan
from backendai_ctl.engine.base import NO_COMPONENT, Step
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout
from backendai_ctl.topology import registry


class RegisterImages(Step):
    """A row is made if there is none of its name; what an operator made of another one stays.

    It keeps no service from starting: without it there are no images to start sessions from.
    """

    name = "register-images"
    title = "Make images known to the manager"
    needs = ("load-initial-data", "push-images")
    components = NO_COMPONENT
    timeout = 300

    def check(self, ctx: Context) -> list[Change]:
        if not ctx.here("manager"):
            return []
        wanted = rows_of.rows(ctx)
        with connect(of_manager(ctx)) as db:
            missing = rows_of.missing(db, wanted)
            stale, barred = rows_of.stale(db, wanted), rows_of.not_permitted(db, _names(wanted))
            unknown = _unknown(ctx, db)
        return [
            *(Change(f"registry {row['registry_name']}", "make it known") for row in missing),
            *(Change(f"registry {row['registry_name']}", "renew its login") for row in stale),
            *(Change(f"domain {domain}", f"permit the registry {name}") for domain, name in barred),
            *(Change(f"image {image}", "make it known") for image in unknown),
        ]

    def apply(self, ctx: Context) -> None:
        target, wanted = of_manager(ctx), rows_of.rows(ctx)
        with locked(target) as db:
            if missing := rows_of.missing(db, wanted):
                # Not by SQL: the release's loader also enters it in the graph of rights.
                populate(target, {"container_registries": missing})
            for row in rows_of.stale(db, wanted):
                rows_of.put(db, row)
            rows_of.permit(db, _names(wanted))
            if _unknown(ctx, db):
                rescan(target, registry.host(ctx))
                if left := _unknown(ctx, db):
                    raise Problem(
                        f"the manager does not find {', '.join(left)} in {registry.url(ctx)}",
                        hint="see: backendai-ctl logs registry; then run: backendai-ctl reconfigure",
                    )

    def undo(self, ctx: Context) -> None:
        """Nothing: sessions may run from images that are known by it."""


def _names(wanted: list[dict[str, str]]) -> list[str]:
    return [row["registry_name"] for row in wanted]


def _unknown(ctx: Context, db: Connection) -> list[str]:
    """Images of the release that the manager does not know as they are."""
    if not (registry.here(ctx) and registry.usable(ctx)):
        return []
    known = rows_of.known(db, registry.host(ctx))
    images = layout.read(layout.of_release(ctx))
    return [image.name for image in images if known.get(image.name) != image.config]
