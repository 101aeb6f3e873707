"""What all tables of the site file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the site file: unknown keys are errors, values are never bent into a type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
