"""The table [metrics] of the site file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from backendai_ctl.site.table import HostPort, Size, Table


class Metrics(Table):
    """What the site's own Prometheus keeps."""

    days: Annotated[int, Field(ge=1, le=3650)] = Field(
        15, description="Days for which metrics are kept."
    )
    size: Size = Field(
        "8G", description="Maximum size of the metrics kept: the oldest are deleted first."
    )
    alertmanagers: list[HostPort] = Field(
        [], description="HOST:PORT of each Alertmanager of yours, to which alerts are sent by HTTP."
    )
