"""All debs laid out in one folder, with what each package brought."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib
from payload import Package, Visitor

import dist as artefacts

RELEASE: dict[str, Any] = tomllib.loads(
    (artefacts.REPOSITORY / "packaging/release.toml").read_text("utf-8")
)
ENVIRONMENT = str(RELEASE["paths"]["environment"])
RUNTIME = str(RELEASE["paths"]["runtime"])
SERVERS = str(RELEASE["paths"]["servers"])
SITE = f"{ENVIRONMENT}/lib/python{RELEASE['python']['version']}/site-packages"  # as on a host
# Packages made of programs of Debian's, without the runtime.
SERVER_PACKAGES = sorted(
    f"backendai-{path.parent.name}"
    for path in (artefacts.REPOSITORY / "packaging/servers").glob("*/BUILD")
)


@dataclass
class Unpacked:
    """`root` holds the files of all debs; `leaks` the files in which one of `forbidden` was found."""

    root: Path
    forbidden: tuple[bytes, ...]
    debs: list[Package] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)  # path -> package

    @property
    def site(self) -> Path:
        """The site-packages of the environment."""
        return self.root / SITE.lstrip("/")

    @contextmanager
    def package(self, name: str) -> Iterator[Visitor]:
        """A visitor that lays the files of this package out."""

        def visit(path: str, data: bytes) -> None:
            target = self.root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            self.owners[path] = name
            self.leaks += [f"{path}: {bad.decode()}" for bad in self.forbidden if bad in data]

        yield visit

    def distributions(self, package: str) -> list[Path]:
        """The `.dist-info` folders that a package brought, sorted."""
        return sorted(
            info
            for info in self.site.glob("*.dist-info")
            if self.owners[f"{SITE}/{info.name}/METADATA"] == package
        )
