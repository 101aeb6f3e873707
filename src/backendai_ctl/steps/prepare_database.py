"""Run the site's own PostgreSQL."""

from __future__ import annotations

from backendai_ctl.steps.serving import Serve

STEP = Serve("postgresql", "prepare-database", "Set up PostgreSQL")
