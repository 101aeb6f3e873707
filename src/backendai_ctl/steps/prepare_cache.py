"""Run the site's own Valkey: the cache and the queues of the services."""

from __future__ import annotations

from backendai_ctl.steps.serving import Serve

STEP = Serve("valkey", "prepare-cache", "Set up Valkey")
