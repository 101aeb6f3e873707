"""The table [sessions] of the site file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from backendai_ctl.site import values
from backendai_ctl.site.table import Table

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Duration = Annotated[str, Field(pattern=values.DURATION), AfterValidator(values.duration)]


Image = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._-]+)+(:[A-Za-z0-9._-]+)?(@[a-z0-9_]+)?$"),
]


class Sessions(Table):
    """What a user may have at a time, and what the web UI offers for one container."""

    concurrent: Count | None = Field(
        None,
        description=(
            "Sessions that a user may have at a time. Default: what administrators set in the web UI, 5 at "
            "first; the same holds for `containers` and `lifetime`."
        ),
    )
    containers: Count | None = Field(None, description="Containers of one session. At first: 1.")
    idle_timeout: Duration | None = Field(
        None,
        description=(
            "How long a session may go unused before it ends: see OPERATING.md, Users. 0, the default: for "
            "ever, and times that administrators set in the web UI do not count either."
        ),
    )
    lifetime: Duration | None = Field(
        None, description="How long a session may run; 0 for ever. At first: 0."
    )
    default_image: Image | None = Field(
        None,
        description=(
            "Image that the web UI's form for a new session has set: REGISTRY/PROJECT/NAME, or with :TAG. "
            "Default: that of Python in the site's own registry."
        ),
    )
    max_cpu: Annotated[int, Field(ge=1, le=8192)] = Field(
        8192,
        description=(
            "Most CPU cores that the web UI offers for a container. It never offers more than the resource "
            "group has; the same holds for the next three."
        ),
    )
    max_memory: Annotated[int, Field(ge=1, le=16384)] = Field(
        16384, description="Most memory that the web UI offers for a container, in GiB."
    )
    max_shared_memory: Annotated[int, Field(ge=1, le=16384)] = Field(
        16384, description="Most shared memory that the web UI offers for a container, in GiB."
    )
    max_devices: Annotated[int, Field(ge=0, le=64)] = Field(
        64, description="Most accelerators of a kind that the web UI offers for a container."
    )
    # fmt: on
