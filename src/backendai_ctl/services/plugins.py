"""What packages of plugins, such as those of accelerators, bring for the service that they extend.

It is a drop-in of its unit, from packaging/templates/plugin.conf.j2. Keys that begin with `X-` are for us.
"""

from __future__ import annotations

import re
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.facts import Component
from backendai_ctl.platform import files


def drop_ins(ctx: Context, component: Component) -> list[Path]:
    """Those that came with packages; ours for the site lie in /etc."""
    return sorted((ctx.paths.units / f"{component.unit}.d").glob("*.conf"))


def words(file: Path, key: str) -> list[str]:
    """All words of a key, which may stand there several times."""
    rows = re.findall(rf"^{re.escape(key)}=(.*)$", files.read(file) or "", re.M)
    return [word for row in rows for word in row.split()]
