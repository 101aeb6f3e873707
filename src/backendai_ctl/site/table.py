"""What all tables of the site file have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from backendai_ctl.site import values

AbsolutePath = Annotated[
    Path, BeforeValidator(values.path), WithJsonSchema({"type": "string", "pattern": "^/"})
]
Size = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*[KMGT])$")]
HostPort = Annotated[str, AfterValidator(values.host_port)]


class Table(BaseModel):
    """A table of the site file: unknown keys are errors, values are never bent into a type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
