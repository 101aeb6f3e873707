"""The app proxy coordinator's database has the tables of this release."""

from __future__ import annotations

from backendai_ctl.database.databases import COORDINATOR
from backendai_ctl.database.schema_step import SchemaStep

STEP = SchemaStep(COORDINATOR, "migrate-coordinator-schema", ("appproxy-coordinator",))
