"""The registry of images loaded into this site's own Docker engines, which needs no network."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import registry
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.populate import populate
from backendai_ctl.engine.base import Step

_FIND = "FROM container_registries WHERE registry_name = $1 AND project = $2"


class RegisterImages(Step):
    """One row, made if there is none of its name; what an operator made of it stays.

    A new site gets it with its first rows; this is for databases that came from elsewhere.
    """

    name = "register-images"
    title = "Register the local image registry"
    needs = ("load-initial-data",)
    components = ("manager",)
    timeout = 120

    def check(self, ctx: Context) -> list[Change]:
        with connect(of_manager(ctx)) as db:
            if db.value(f"SELECT count(*) {_FIND}", registry.NAME, registry.PROJECT):
                return []
        return [Change(f"image registry {registry.NAME}", f"add it, project {registry.PROJECT}")]

    def apply(self, ctx: Context) -> None:
        # Not by SQL: the release's loader also enters it in the graph of rights.
        populate(of_manager(ctx), {"container_registries": [registry.row()]})

    def undo(self, ctx: Context) -> None:
        """Nothing: images may be known by it."""
