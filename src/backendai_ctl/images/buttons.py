"""Images that buttons of the web UI start for a folder: its file browser, its server of SSH and SFTP.

Without a name the web UI looks for them among the images that agents have pulled already, by what they say
of themselves. That is not asked: an image that somebody added to the bundle would get everybody's folders.
"""

from __future__ import annotations

import contextlib

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout
from backendai_ctl.topology import registry

_ARCHITECTURE = "x86_64"  # that of every release, as the manager calls it


def file_browser(ctx: Context) -> str:
    """The full name of the image; empty where the release, or the site's registry, has none."""
    return _named(ctx, "filebrowser")


def ssh(ctx: Context) -> str:
    """The full name of the image; empty where the release, or the site's registry, has none."""
    return _named(ctx, "sftp")


def _named(ctx: Context, name: str) -> str:
    if not registry.usable(ctx):
        return ""
    with contextlib.suppress(Problem):  # told where they are pushed; the web server does without
        for image in layout.read(layout.of_release(ctx)):
            if image.repository == f"{registry.PROJECT}/{name}":
                return f"{registry.host(ctx)}/{image.name}@{_ARCHITECTURE}"
    return ""
