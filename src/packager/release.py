"""The table of facts about the release (packaging/release.toml), read and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import toml
from pants.engine.fs import DigestContents, GlobMatchErrorBehavior, PathGlobs
from pants.engine.rules import Get, MultiGet, collect_rules, rule

from releasekit.agreement import LOCK, TABLE, check
from releasekit.errors import Failure

NEEDED = {
    "release": (
        "version",
        "revision",
        "number",
        "date",
        "vendor",
        "maintainer",
        "homepage",
        "license",
    ),
    "paths": (
        *("prefix", "runtime", "environment", "current", "servers"),
        *("config", "state", "run", "volumes", "backups"),
    ),
    "python": ("version", "platform"),
    "compression": ("deb_zstd_level", "rpm"),
    "user": ("name", "uid", "gid", "description"),
}


@dataclass(frozen=True)
class Release:
    """The table, with shorthands for what rules need most. `mtime` is seconds since the epoch."""

    table: dict[str, Any]

    @property
    def version(self) -> str:
        return str(self.table["release"]["version"])

    @property
    def full_version(self) -> str:
        """Version and revision as deb and rpm write them: 26.9.6-1."""
        return f"{self.version}-{self.table['release']['revision']}"

    @property
    def mtime(self) -> int:
        return int(
            datetime.fromisoformat(self.table["release"]["date"].replace("Z", "+00:00")).timestamp()
        )

    @property
    def paths(self) -> dict[str, str]:
        return dict(self.table["paths"])

    @property
    def runtime_package(self) -> str:
        return "backendai-runtime"

    @property
    def common_package(self) -> str:
        return "backendai-common"

    def fill(self, text: str) -> str:
        """Replace `{name}` by the path of that name, `{version}`, and `{site_packages}`."""
        paths = self.paths
        site = f"{paths['environment']}/lib/python{self.table['python']['version']}/site-packages"
        names = {**paths, "version": self.version, "site_packages": site}
        try:
            return text.format_map(names)
        except KeyError as error:
            raise Failure(
                f"{text!r}: {{{error.args[0]}}} is not in [paths] of {TABLE}",
                hint=f"known names are: {', '.join(sorted(names))}",
            ) from error


def parse(text: str) -> Release:
    """Read the table; Failure names the key that is missing."""
    try:
        table = toml.loads(text)
    except toml.TomlDecodeError as error:
        raise Failure(f"{TABLE}: {error}", hint="mend the TOML") from error
    for section, keys in NEEDED.items():
        for key in keys:
            if key not in table.get(section, {}):
                raise Failure(
                    f"{TABLE}: [{section}] has no `{key}`", hint=f"add `{key}` to [{section}]"
                )
    return Release(table)


@rule(desc=f"Read {TABLE}")
async def read_release() -> Release:
    """The table; nothing is built by one that the lock does not bear out."""
    globs = [
        PathGlobs([path], GlobMatchErrorBehavior.error, description_of_origin="the packager")
        for path in (TABLE, LOCK)
    ]
    table, lock = await MultiGet(Get(DigestContents, PathGlobs, paths) for paths in globs)
    release = parse(table[0].content.decode())
    try:
        locked = json.loads(lock[0].content)
    except ValueError as error:
        raise Failure(f"{LOCK}: {error}", hint="renew it with scripts/lock-python") from error
    check(release.table, locked)
    return release


def rules() -> Any:
    return collect_rules()
