"""A cache, a pip that reads a folder instead of an index, and a Debian mirror in a folder."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.cache import Cache
from bootstrap.pip import Pip
from releasekit.files import Entry
from releasekit.locks import Deb

# Does for `pip download` what the tests need: copies NAME-VERSION files from $FAKE_INDEX, notes
# its calls, fails as a file `fail` of that folder says (and removes the file: it fails once).
_FAKE_PIP = """
import os, pathlib, shutil, sys
index = pathlib.Path(os.environ["FAKE_INDEX"])
options = dict(a.split("=", 1) for a in sys.argv[1:] if a.startswith("--") and "=" in a)
wanted = pathlib.Path(options["--requirement"]).read_text().split("\\n")
names = [line.split("==")[0] for line in wanted if line]
with (index / "calls").open("a") as calls:
    calls.write(" ".join(sorted(names)) + "\\n")
(index / "argv").write_text("\\n".join(sys.argv[1:]))
always, once = index / "fail-always", index / "fail-once"
for path in (always, once):
    if path.exists():
        print(path.read_text())
        once.unlink(missing_ok=True)
        sys.exit(1)
for name in names:
    for path in index.glob(name.replace("-", "_") + "-*.whl"):
        shutil.copy(path, options["--dest"])
"""


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests see none of the variables that steer a set-up."""
    for name in (
        "BACKENDAI_CACHE",
        "BACKENDAI_VENDOR",
        "BACKENDAI_FROZEN",
        "BACKENDAI_PYTHON39",
        "BACKENDAI_DEBIAN_MIRROR",
        "BACKENDAI_DEBIAN_SECURITY_MIRROR",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the fake pip reads."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("FAKE_INDEX", str(folder))
    return folder


@pytest.fixture
def pip(tmp_path: Path, index: Path) -> Pip:
    """The fake pip."""
    package = tmp_path / "library" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(_FAKE_PIP)
    return Pip(sys.executable, package.parent)


def entry_of(data: bytes, filename: str, version: str = "1.0") -> Entry:
    """The lock entry of a file with this content."""
    return Entry(version, filename, hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """`entry_of` as a fixture: modules of tests cannot import each other."""
    return entry_of


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian mirror in a folder; its security sibling is MIRROR-security."""
    folder = tmp_path / "debian"
    folder.mkdir()
    monkeypatch.setenv("BACKENDAI_DEBIAN_MIRROR", folder.as_uri())
    return folder


@pytest.fixture
def publish(mirror: Path) -> Callable[..., Deb]:
    """publish(name, content, version="1", archive="main") puts a package on the mirror."""

    def put(name: str, content: bytes, version: str = "1", archive: str = "main") -> Deb:
        base = mirror if archive == "main" else mirror.with_name("debian-security")
        filename = f"{name}_{version}_amd64.deb"
        path = base / "pool/main" / name[0] / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return Deb(
            **vars(entry_of(content, filename, version)),
            suite="trixie",
            archive=archive,
            path=path.relative_to(base).as_posix(),
            source=f"{name} (= {version})",
        )

    return put
