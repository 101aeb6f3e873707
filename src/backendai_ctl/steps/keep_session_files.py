"""What sessions have mounted of the agent's package stays until they end."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.platform import trees
from backendai_ctl.storage import session_files


class KeepSessionFiles(Step):
    """See backendai_ctl.storage.session_files; upkeep removes those of releases that are gone."""

    name = "keep-session-files"
    title = "Keep the files that sessions mount"
    components = ("agent",)
    timeout = 120

    def check(self, ctx: Context) -> list[Change]:
        if session_files.is_kept(ctx):
            return []
        return [Change(str(session_files.here(ctx)), "keep the agent's files for its sessions")]

    def apply(self, ctx: Context) -> None:
        session_files.keep(ctx)

    def undo(self, ctx: Context) -> None:
        trees.remove(session_files.folder(ctx))
