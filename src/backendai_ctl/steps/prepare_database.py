"""Run the site's own PostgreSQL."""

from __future__ import annotations

from backendai_ctl.facts import Facts
from backendai_ctl.services.serving import Serve


class PrepareDatabase(Serve):
    name = "prepare-database"
    title = "Set up PostgreSQL"

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return facts.using(self.server)

    server = "postgresql"
