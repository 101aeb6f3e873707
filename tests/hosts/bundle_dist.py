"""The bundle in dist/, and what an operator does with it: carry it to a host, check it, install it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from artefacts import NoArtefacts
from host import Host, Result

STICK = "/media/stick"  # where hosts see the medium that the bundle came on, read-only
CARRY_TIMEOUT = 300  # seconds to unpack or to check
INSTALL_TIMEOUT = 900  # seconds
STRICT = ("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")


@dataclass(frozen=True)
class Bundle:
    """The one tar of a release; `unpacked` is its folder, in a folder for the session's tests."""

    tar: Path
    unpacked: Path

    @property
    def name(self) -> str:
        return self.tar.stem

    def fact(self, key: str) -> str:
        """A value of RELEASE."""
        lines = (self.unpacked / "RELEASE").read_text("ascii").splitlines()
        return dict(line.split("=", 1) for line in lines)[key]


def find(folder: Path) -> Path:
    """The tar in `folder`; NoArtefacts if there is not just one."""
    tars = sorted(folder.glob("backendai-*-linux-*.tar"))
    if len(tars) != 1:
        found = ", ".join(tar.name for tar in tars) or "no bundle"
        raise NoArtefacts(f"{found} in {folder}: run ./pants package //:bundle first")
    return tars[0]


def unpack(tar: Path, place: Path) -> None:
    subprocess.run(["tar", "xf", str(tar), "-C", str(place)], check=True, timeout=CARRY_TIMEOUT)
    place.chmod(0o755)  # pytest's own folders are private, apt reads it as another user


def check(host: Host, folder: str, fingerprint: str) -> Result:
    """verify.sh in `folder` of the host: it must find the bundle good."""
    call = [f"{folder}/verify.sh", "--fingerprint", fingerprint]
    return host.check(call, timeout=CARRY_TIMEOUT)


def install(host: Host, folder: str, *words: str) -> Result:
    """install.sh WORDS in `folder` of the host: it must succeed."""
    return host.check([f"{folder}/install.sh", *words], timeout=INSTALL_TIMEOUT)
