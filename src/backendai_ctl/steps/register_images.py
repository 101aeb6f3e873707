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
from backendai_ctl.images import removing
from backendai_ctl.topology import layout as layout_of
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
        if not _concerned(ctx):
            return []
        wanted = rows_of.rows(ctx)
        with connect(of_manager(ctx)) as db:
            missing, stale = rows_of.missing(db, wanted), rows_of.stale(db, wanted)
            retired, unknown = rows_of.retired(db, wanted), _unknown(ctx, db)
        return [
            *(Change(f"registry {row['registry_name']}", _RETIRED) for row in retired),
            *(Change(f"registry {row['registry_name']}", "make it known") for row in missing),
            *(Change(f"registry {row['registry_name']}", "renew its login") for row in stale),
            *(Change(f"image {image}", "make it known") for image in unknown),
        ]

    def apply(self, ctx: Context) -> None:
        target, wanted = of_manager(ctx), rows_of.rows(ctx)
        with locked(target) as db:
            for row in rows_of.retired(db, wanted):
                rows_of.retire(db, row, wanted)
            if missing := rows_of.missing(db, wanted):
                for row in missing:
                    rows_of.permit(db, row["registry_name"])
                # Not by SQL: the release's loader also enters it in the graph of rights.
                populate(target, {"container_registries": missing})
            for row in rows_of.stale(db, wanted):
                rows_of.put(db, row)
            if _unknown(ctx, db):
                rescan(target, registry.host(ctx))
                if left := _unknown(ctx, db):
                    raise Problem(
                        f"the manager does not find {', '.join(left)} in {registry.url(ctx)}",
                        hint="see: backendai-ctl logs registry; then run: backendai-ctl reconfigure",
                    )

    def undo(self, ctx: Context) -> None:
        """Nothing: sessions may run from images that are known by it."""


_RETIRED = "retire it: the site has it no more"


def _concerned(ctx: Context) -> bool:
    """One node does it for the site: that from whose registry all pull, or the first with a manager."""
    if not ctx.here("manager"):
        return False
    nodes = registry.nodes(ctx) or layout_of.running(ctx.site, ctx.facts, "manager")
    return not ctx.node or ctx.node in nodes[:1]


def _unknown(ctx: Context, db: Connection) -> list[str]:
    """Images of the release that the manager does not know as they are, but was not told to forget."""
    if not (registry.first(ctx) and registry.usable(ctx)):
        return []
    known = rows_of.known(db, registry.host(ctx))
    found = [(one, known.get(one.name)) for one in removing.of_release(ctx)]
    return [one.name for one, row in found if row is None or (row[1] and row[0] != one.config)]
