"""The packages under test as an earlier release: another version, and needs that name it.

debs keep their payload and maintainer scripts; rpms are made anew with the name and the needs of the
real ones and one file. What apt and dnf make of a release and another is decided by these.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from artefacts import Dist

MAGIC = b"!<arch>\n"
TIMEOUT = 120  # seconds for one package
OURS = re.compile(r"(backendai-[a-z-]+ \(?= ?)[0-9][^),\s]*")


def release(dist: Dist, names: Iterable[str], version: str, folder: Path, *, rpms: bool) -> Dist:
    """These packages of `dist` (without `backendai-`) as `version`, in `folder`."""
    folder.mkdir(parents=True)
    wanted = {f"backendai-{name}" for name in names}
    debs = tuple(
        _deb(deb, version, folder) for deb in dist.debs if deb.name.split("_")[0] in wanted
    )
    found = [rpm for rpm in dist.rpms if rpm.name.rsplit("-", 2)[0] in wanted] if rpms else []
    return Dist(folder, debs, tuple(_rpm(rpm, version, folder) for rpm in found))


def _deb(deb: Path, version: str, folder: Path) -> Path:
    """The same ar archive with another member control.tar.gz."""
    name, _, rest = deb.name.partition("_")
    made = folder / f"{name}_{version}_{rest.rpartition('_')[2]}"
    with deb.open("rb") as source, made.open("wb") as out:
        out.write(source.read(len(MAGIC)))
        while header := source.read(60):
            size = int(header[48:58])
            data = source.read(size + size % 2)[:size]
            if header.startswith(b"control.tar"):
                data = _control(data, version)
                header = b"control.tar.gz  " + header[16:48] + f"{len(data):<10}`\n".encode()
            out.write(header + data + b"\n" * (len(data) % 2))
    return made


def _control(packed: bytes, version: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(packed)) as old, tarfile.open(None, "w:gz", made) as new:
        for info in old:
            member = old.extractfile(info)
            data = member.read() if member else b""
            if info.name.rpartition("/")[2] == "control":
                text = re.sub(r"(?m)^Version: .*", f"Version: {version}", data.decode())
                data = OURS.sub(r"\g<1>" + version, text).encode()
                info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    return made.getvalue()


def _rpm(rpm: Path, version: str, folder: Path) -> Path:
    number, _, revision = version.partition("-")
    name, _, _ = rpm.name.rsplit("-", 2)
    arch = rpm.name.split(".")[-2]
    needs = _out(["rpm", "-qp", "--nosignature", "--requires", str(rpm)]).splitlines()
    named = [OURS.sub(r"\g<1>" + version, row) for row in needs if "rpmlib" not in row]
    rows = [f"Requires: {row}" for row in named]
    top = folder / "rpmbuild"
    top.mkdir(exist_ok=True)
    spec = top / f"{name}.spec"
    head = [
        *(f"Name: {name}", f"Version: {number}", f"Release: {revision}", "Summary: earlier"),
        *("License: various", "AutoReqProv: no", *rows, "%description"),
        *("An earlier release.", "%install", f"mkdir -p %{{buildroot}}/usr/share/doc/{name}"),
        *(f"echo {version} >%{{buildroot}}/usr/share/doc/{name}/earlier", "%files"),
        *(f"/usr/share/doc/{name}/earlier", ""),
    ]
    spec.write_text("\n".join(head))
    options = ["--define", f"_topdir {top}", "--define", "_build_id_links none", "--target", arch]
    _out(["rpmbuild", "-bb", "--quiet", *options, str(spec)])
    (made,) = (top / "RPMS").rglob(f"{name}-{version}.{arch}.rpm")
    return made.rename(folder / made.name)


def _out(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done
    return done.stdout
