"""A new site's first rows: one administrator, domain, projects, policies, presets, roles."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import registry, seed
from backendai_ctl.database.connection import Connection, NotMade, connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.database.populate import populate
from backendai_ctl.database.proxy import address, token
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Problem
from backendai_ctl.topology import layout

# There while rows are being loaded: the loader commits table by table.
_LOADING = "public.backendai_ctl_loading"
_ABLE = """
SELECT EXISTS (SELECT FROM users u JOIN keypairs k ON k."user" = u.uuid
  WHERE u.email = $1 AND u.role = 'superadmin' AND k.is_active)
"""


class LoadInitialData(Step):
    """Loads them into a database without an administrator; an operator's rows are never touched.

    A run that was cut off is repeated, which adds what is missing.
    """

    name = "load-initial-data"
    title = "Load the first administrator and the presets"
    needs = ("create-secrets", "migrate-manager-schema")
    components = ("manager",)
    timeout = 300

    def check(self, ctx: Context) -> list[Change]:
        target = of_manager(ctx)
        todo = Change(target.where, f"load the first rows, administrator {ctx.site.admin.email}")
        try:
            with connect(target) as db:
                if not db.value("SELECT to_regclass('public.users') IS NOT NULL"):
                    return [todo]  # by then its tables have been made
                return [todo] if _missing(db) else []
        except NotMade:
            if ctx.site.database.mode == "local":
                return [todo]
            raise

    def apply(self, ctx: Context) -> None:
        target = of_manager(ctx)
        with locked(target) as db:
            if not _missing(db):
                return  # another node was faster
            db.do(f"CREATE TABLE IF NOT EXISTS {_LOADING} ()")
            # What provision-roles would do next, in one start of the program.
            populate(target, seed.derive(_examples(ctx), wanted(ctx)), roles=True)
            if not db.value(_ABLE, ctx.site.admin.email):
                raise Problem(
                    f"{target.where}: after loading the first rows {ctx.site.admin.email} is no "
                    "administrator with an API key",
                    hint="the database has other rows: use an empty one",
                )
            db.do(f"DROP TABLE {_LOADING}")

    def undo(self, ctx: Context) -> None:
        """Nothing: rows are data."""


def _missing(db: Connection) -> bool:
    if db.value("SELECT to_regclass($1) IS NOT NULL", _LOADING):
        return True
    return not db.value("SELECT EXISTS (SELECT FROM users WHERE role = 'superadmin')")


def wanted(ctx: Context) -> seed.Wanted:
    """What this site puts in the place of the examples."""
    site = ctx.site
    return seed.Wanted(
        email=site.admin.email,
        username=site.admin.username,
        password=ctx.secrets.get("admin-password"),
        secret_key=ctx.secrets.get("admin-secret-key"),
        group=site.agent.group,
        hosts=tuple(layout.permitted_hosts(site, ctx.facts)),
        proxy_address=address(ctx),
        proxy_token=token(ctx),
        registries=tuple(registry.rows(ctx)),
    )


def _examples(ctx: Context) -> seed.Seed:
    return seed.read(ctx.paths.share / "fixtures")
