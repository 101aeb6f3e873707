"""The manager's database has the tables of this release."""

from __future__ import annotations

from backendai_ctl.database.databases import MANAGER
from backendai_ctl.database.schema_step import SchemaStep

STEP = SchemaStep(MANAGER, "migrate-manager-schema", ("manager",))
