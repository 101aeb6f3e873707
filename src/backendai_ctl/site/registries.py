"""The tables [registries.NAME] of the site file."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from backendai_ctl.site import values
from backendai_ctl.site.table import AbsolutePath, Table


def _https(value: str) -> str:
    """https://HOST, perhaps with a port, and nothing behind it."""
    parts = urlsplit(value)
    bare = parts.scheme == "https" and value.rstrip("/") == f"https://{parts.netloc}"
    if not bare or not parts.hostname or "@" in parts.netloc:
        raise ValueError("is not https://HOST or https://HOST:PORT")
    if parts.netloc.lower() == values.bracketed(parts.hostname):
        values.host(parts.hostname)
    else:
        values.split_host_port(parts.netloc)
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_https)]
Word = Annotated[str, Field(pattern=values.NO_CONTROL, min_length=1, max_length=255)]


class Registry(Table):
    """A registry of images that is not the site's own, or a project of one."""

    kind: Literal["docker", "harbor2", "gitlab"] = Field(
        "docker", description="Kind of registry: any with Docker's API, Harbor 2, or GitLab."
    )
    url: Url = Field(description="https://HOST[:PORT] of the registry.")
    project: Annotated[str, Field(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$", max_length=255)] = (
        Field(
            description="Project whose images the site uses: what their names begin with. With `gitlab`: "
            "GROUP/PROJECT."
        )
    )
    api: Url | None = Field(
        None, description="With `gitlab`: https://HOST[:PORT] of GitLab itself."
    )
    ca: AbsolutePath | None = Field(
        None,
        description="Authority (PEM) of its certificate, for agents' container engines and the manager. "
        "Default: those of the host.",
    )
    username: Word | None = Field(None, description="User name for pulling. Default: no login.")
    password_file: AbsolutePath | None = Field(
        None, description="File (mode 0600) that holds the password, or the token."
    )

    @property
    def host(self) -> str:
        """HOST[:PORT], by which names of its images begin."""
        return urlsplit(self.url).netloc
