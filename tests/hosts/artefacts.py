"""The packages under test, and package repositories made of them for offline hosts."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MAKE_TIMEOUT = 300  # seconds


class NoArtefacts(Exception):
    """There are no packages to test; the text says how to get them."""


@dataclass(frozen=True)
class Dist:
    """A folder of built packages: its debs and rpms, sorted by name."""

    folder: Path
    debs: tuple[Path, ...]
    rpms: tuple[Path, ...]

    def without_roles(self) -> Dist:
        """The same without the packages of roles: these need servers, and configure the host."""
        debs = tuple(deb for deb in self.debs if not deb.name.endswith("_all.deb"))
        rpms = tuple(rpm for rpm in self.rpms if not rpm.name.endswith(".noarch.rpm"))
        return Dist(self.folder, debs, rpms)

    @property
    def deb_names(self) -> tuple[str, ...]:
        """Package names of the debs, sorted."""
        return tuple(sorted(_out(["dpkg-deb", "-f", str(deb), "Package"]) for deb in self.debs))

    @property
    def rpm_names(self) -> tuple[str, ...]:
        """Package names of the rpms, sorted."""
        query = ["rpm", "-qp", "--nosignature", "--qf", "%{NAME}"]
        return tuple(sorted(_out([*query, str(rpm)]) for rpm in self.rpms))


def find(folder: Path) -> Dist:
    """The packages in ``folder``; NoArtefacts if there are no debs or no rpms."""
    debs = tuple(sorted(folder.glob("backendai-*.deb")))
    rpms = tuple(sorted(folder.glob("backendai-*.rpm")))
    if not debs or not rpms:
        raise NoArtefacts(f"no debs and rpms in {folder}: run ./pants package :: first")
    return Dist(folder, debs, rpms)


def index(dist: Dist, out: Path) -> Path:
    """Make repositories ``out/deb`` (flat, for apt) and ``out/rpm`` (for dnf)."""
    for kind, files in (("deb", dist.debs), ("rpm", dist.rpms)):
        folder = out / kind
        folder.mkdir(parents=True)
        for file in files:
            place(file, folder / file.name)
    packages = _out(["apt-ftparchive", "packages", "."], cwd=out / "deb")
    (out / "deb" / "Packages").write_text(f"{packages}\n")
    _out(["createrepo_c", "--quiet", "--no-database", str(out / "rpm")])
    return out


def place(source: Path, target: Path) -> None:
    """Put a file at another place too: linked where the file system is the same."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _out(argv: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, check=True, timeout=MAKE_TIMEOUT
    )
    return done.stdout.strip()
