"""Run the site's own Valkey: the cache and the queues of the services."""

from __future__ import annotations

from backendai_ctl.facts import Facts
from backendai_ctl.services.serving import Serve


class PrepareCache(Serve):
    name = "prepare-cache"
    title = "Set up Valkey"

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return facts.using(self.server)

    server = "valkey"
