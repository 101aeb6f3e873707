"""Small edits of a scratch checkout, each unlike any earlier one, and what must change by them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from releasekit.errors import Failure
from releasekit.files import Entry, sha256_of

TEMPLATE = "packaging/templates/service.j2"
CLIENT = "packaging/components/client/BUILD"
LOCK = "packaging/locks/python.lock"
DEBIAN = "packaging/locks/debian.lock"
RELEASE = "packaging/release.toml"


def edit_template(checkout: Path, token: str) -> None:
    """Add a comment to the unit template that appears in every unit."""
    path = checkout / TEMPLATE
    path.write_text(f"{path.read_text(encoding='utf-8')}# {token}\n", encoding="utf-8")


def edit_component(checkout: Path, token: str) -> None:
    """Change the summary of the client."""
    path = checkout / CLIENT
    before = path.read_text(encoding="utf-8")
    after = before.replace('summary="', f'summary="{token} ', 1)
    if after == before:
        raise Failure(f"{path} has no summary to edit")
    path.write_text(after, encoding="utf-8")


def locked_wheel(checkout: Path, name: str) -> Entry:
    """The lock's entry of a distribution."""
    packages = json.loads((checkout / LOCK).read_text(encoding="utf-8"))["packages"]
    if name not in packages:
        raise Failure(f"{LOCK} has no {name}", hint="name a distribution of the lock")
    raw = packages[name]
    return Entry(raw["version"], raw["filename"], raw["sha256"], raw["size"])


def edit_lock(checkout: Path, name: str, entry: Entry) -> None:
    """Give a distribution of the lock another file."""
    path = checkout / LOCK
    data = json.loads(path.read_text(encoding="utf-8"))
    data["packages"][name].update(sha256=entry.sha256, size=entry.size)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def locked_deb(checkout: Path, key: str) -> Entry:
    """The entry of a Debian package, such as trixie/nftables."""
    raw = json.loads((checkout / DEBIAN).read_text(encoding="utf-8"))["packages"][key]
    return Entry(raw["version"], raw["filename"], raw["sha256"], raw["size"])


def edit_debian_lock(checkout: Path, key: str, entry: Entry) -> None:
    """Give a Debian package of the lock another version and file."""
    path = checkout / DEBIAN
    data = json.loads(path.read_text(encoding="utf-8"))
    raw = data["packages"][key]
    raw["path"] = f"{raw['path'].rpartition('/')[0]}/{entry.filename}"
    raw.update(version=entry.version, filename=entry.filename, sha256=entry.sha256, size=entry.size)
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def other_deb(deb: Path, folder: Path, token: str) -> tuple[Entry, Path]:
    """Write an update of a Debian package below `folder`: a later version, and a file more."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        tree = Path(name) / "tree"
        _dpkg_deb("--raw-extract", deb, tree)
        control = tree / "DEBIAN/control"
        text = control.read_text(encoding="utf-8")
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        package, before = fields["Package"], fields["Version"]
        version = f"{before}+{token}"
        control.write_text(text.replace(f"Version: {before}\n", f"Version: {version}\n"), "utf-8")
        note = tree / f"usr/share/doc/{package}/{token}"
        note.write_text(f"{token}\n", encoding="utf-8")
        made = folder / f"{package}_{version.partition(':')[2] or version}_amd64.deb"
        _dpkg_deb("--root-owner-group", "--build", tree, made)
    return Entry(version, made.name, sha256_of(made), made.stat().st_size), made


def _dpkg_deb(*words: str | Path) -> None:
    call = ["dpkg-deb", *map(str, words)]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)


def next_release(checkout: Path) -> None:
    """Number, revision and date of the release after this one, an hour later."""
    path = checkout / RELEASE
    text = path.read_text(encoding="utf-8")
    for key in ("revision", "number"):
        text = _changed(rf"^({key} = )(\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}", text, path)
    text = _changed(r'^(date = ")([^"]+)', lambda m: m[1] + _hour_after(m[2]), text, path)
    path.write_text(text, encoding="utf-8")


def _changed(pattern: str, change: Callable[[re.Match[str]], str], text: str, path: Path) -> str:
    text, count = re.subn(pattern, change, text, flags=re.MULTILINE)
    if not count:
        raise Failure(f"{path} has nothing like {pattern}")
    return text


def _hour_after(date: str) -> str:
    form = "%Y-%m-%dT%H:%M:%SZ"
    return (datetime.strptime(date, form) + timedelta(hours=1)).strftime(form)


def other_wheel(wheel: Path, target: Path, token: str) -> Entry:
    """Write a valid wheel to `target` that differs from `wheel` by a comment in one module."""
    with zipfile.ZipFile(wheel) as archive:
        files = {item: archive.read(item) for item in archive.infolist()}
    names = sorted(item.filename for item in files)
    module = next((name for name in names if name.endswith(".py")), None)
    record = next(name for name in names if name.endswith(".dist-info/RECORD"))
    if module is None:
        raise Failure(f"{wheel.name} holds no module", hint="choose another distribution")
    changed = next(data for item, data in files.items() if item.filename == module)
    changed += f"\n# {token}\n".encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, data in files.items():
            if item.filename == module:
                data = changed
            elif item.filename == record:
                data = _record(data.decode(), module, changed).encode()
            archive.writestr(item, data)
    version = wheel.name.split("-")[1]
    return Entry(version, wheel.name, sha256_of(target), target.stat().st_size)


def _record(text: str, module: str, data: bytes) -> str:
    """RECORD with the row of `module` renewed (the form is that of PEP 376 and 427)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in csv.reader(io.StringIO(text)):
        writer.writerow([module, f"sha256={digest}", len(data)] if row[:1] == [module] else row)
    return out.getvalue()


def holders(dist: Path, *, pex_part: str, path_part: str) -> set[str]:
    """Artefacts that hold a member whose name contains `pex_part` (PEX) or `path_part` (packages).

    An rpm has the contents of its deb, so the deb speaks for both.
    """
    found = set()
    for pex in sorted(dist.glob("*.pex")) if pex_part else ():
        with zipfile.ZipFile(pex) as archive:
            if any(pex_part in name for name in archive.namelist()):
                found.add(pex.name)
    for deb in sorted(dist.glob("*.deb")):
        argv = ["dpkg-deb", "--contents", str(deb)]
        listing = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        if path_part in listing:
            package = deb.name.partition("_")[0]
            found |= {deb.name, *(rpm.name for rpm in dist.glob(f"{package}-[0-9]*.rpm"))}
    return found
