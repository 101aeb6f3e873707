"""The table [apps] of the site file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from backendai_ctl.site import values
from backendai_ctl.site.table import Table


def _domain(value: str) -> str:
    """A host name below which there can be others."""
    if values.is_address(values.host(value)) or len(value) > 253 - 64:
        raise ValueError("is not a domain that other names can be in")
    return value.lower()


class Apps(Table):
    """Where the apps of sessions are for browsers."""

    domain: Annotated[str, AfterValidator(_domain)] | None = Field(
        None,
        description="Domain in which each app of a session has a name of its own: name servers lead all "
        "names in it, `*.DOMAIN`, to this site, and a certificate of yours is for these, too. On further "
        "nodes with an app proxy it is NODE.DOMAIN. Default: apps have ports at the address of the site.",
    )
