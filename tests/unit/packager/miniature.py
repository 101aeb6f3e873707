"""A checkout in miniature: real backend, real nfpm, real templates; tiny wheels and a lock of their own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import toml
from pants.core.goals.package import BuiltPackage, PackageFieldSet
from pants.core.target_types import FilesGeneratorTarget, FileTarget
from pants.core.target_types import rules as core_target_rules
from pants.engine.addresses import Address
from pants.engine.fs import DigestContents, Snapshot
from pants.engine.internals.native_engine import Digest
from pants.testutil.rule_runner import QueryRule, RuleRunner

from packager import register, release
from packager.bundle import BundleFieldSet
from packager.images import ImagesFieldSet
from packager.manifest import ReleaseFieldSet
from packager.nfpm.rules import DebFieldSet, RpmFieldSet
from packager.pex import PexFieldSet
from packager.report import ReportFieldSet
from packager.repositories import AptFieldSet, RpmRepositoryFieldSet
from packager.sbom import SbomFieldSet
from packager.zip_app import ZipAppFieldSet
from releasekit.closure import closure
from releasekit.files import fingerprint

REPOSITORY = Path(__file__).resolve().parents[3]
MACROS = toml.loads((REPOSITORY / "pants.toml").read_text("utf-8"))["GLOBAL"][
    "build_file_prelude_globs"
]
VERSION = release.parse((REPOSITORY / "packaging/release.toml").read_text("utf-8")).full_version
CACHE = Path(
    os.environ.get("BACKENDAI_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "backendai-packaged")
)

KINDS: dict[str, type[PackageFieldSet]] = {
    "deb": DebFieldSet,
    "rpm": RpmFieldSet,
    "pex": PexFieldSet,
    "release": ReleaseFieldSet,
    "zip": ZipAppFieldSet,
    "apt repository": AptFieldSet,
    "rpm repository": RpmRepositoryFieldSet,
    "sbom": SbomFieldSet,
    "report": ReportFieldSet,
    "bundle": BundleFieldSet,
    "images": ImagesFieldSet,
}


def make_wheel(
    folder: Path,
    name: str,
    files: dict[str, str],
    version: str = "1.0",
    requires: Iterable[str] = (),
) -> Path:
    """A real wheel with these files, the same bytes each time."""
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    texts = {
        **files,
        f"{info}/METADATA": "\n".join(
            [
                "Metadata-Version: 2.1",
                f"Name: {name}",
                f"Version: {version}",
                "License: MIT",
                *(f"Requires-Dist: {need}" for need in requires),
                "",
            ]
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{member},,\n" for member in [*texts, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in {**texts, f"{info}/RECORD": record}.items():
            wheel.writestr(zipfile.ZipInfo(member), text)
    return path


@dataclass
class Miniature:
    """A build root with a cache. `packages`, `debian`, `images` are locks; write BUILD files, then build."""

    runner: RuleRunner
    cache: Path
    packages: dict[str, Any] = field(default_factory=dict)
    unpacked: dict[str, Any] = field(default_factory=dict)  # wheels of which only files are taken
    debian: dict[str, dict[str, Any]] = field(default_factory=lambda: {"sets": {}, "packages": {}})
    images: dict[str, dict[str, Any]] = field(default_factory=dict)  # image -> its distributions

    def lock_wheel(
        self, name: str, files: dict[str, str], requires: Iterable[str] = (), version: str = "1.0"
    ) -> dict[str, Any]:
        """Put a wheel into the cache and the lock; returns its entry."""
        wheel = make_wheel(self.cache, name, files, version, requires)
        entry = self._stored(wheel, version)
        self.packages[name] = {**entry, "requires": list(requires), "extras": {}}
        locked: dict[str, Any] = self.packages[name]
        return locked

    def lock_for_image(
        self, image: str, name: str, files: dict[str, str], version: str = "1.0"
    ) -> dict[str, Any]:
        """Put a wheel into the cache and the lock of an image; returns its entry."""
        entry = self._stored(make_wheel(self.cache, name, files, version), version)
        self.images.setdefault(image, {})[name] = entry
        return entry

    def lend_libraries(self, *names: str) -> None:
        """Have distributions of tools.lock for a program that imports them."""
        tools = json.loads((REPOSITORY / "packaging/locks/tools.lock").read_text("utf-8"))
        lend_libraries(self.cache, tools, *names)

    def sign_with(self, key: Any) -> None:
        """Have what is signed signed by a key of signing_keys."""
        names = ("gpg", "home", "fingerprint", "kind", "keyring")
        values = key.environment().values()
        # The last word stays the last: tests read the Python's place there.
        given = [f"--backendai-signing-{name}={value}" for name, value in zip(names, values)]
        self.runner.set_options(
            [*given, *self.runner.options_bootstrapper.args[1:]], env_inherit={"PATH"}
        )

    def lock_deb(self, deb: Path, *sets: str) -> None:
        """Put a Debian package into the cache and these sets of the lock, by its file's name."""
        key = f"trixie/{deb.stem.partition('_')[0]}"
        self.debian["packages"][key] = self._stored(deb, "1.0")
        for name in sets:
            self.debian["sets"].setdefault(name, []).append(key)

    def _stored(self, file: Path, version: str) -> dict[str, Any]:
        """Move a file into the cache; what a lock says of it."""
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        target = self.cache / "files" / digest / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        size = file.stat().st_size
        file.replace(target)
        return {"version": version, "filename": target.name, "sha256": digest, "size": size}

    def write(self, files: dict[str, str]) -> None:
        """Write files of the build root, and the locks as they stand."""
        locks = {
            "packaging/locks/python.lock": {
                "python": "3.13",
                "packages": self.packages,
                "unpacked": self.unpacked,
            },
            "packaging/locks/debian.lock": self.debian,
            "packaging/locks/images.lock": {
                "groups": {
                    image: {"python": "3.13", "packages": packages}
                    for image, packages in self.images.items()
                }
            },
        }
        texts = {path: json.dumps(lock) for path, lock in locks.items()}
        self.runner.write_files({**texts, **files})

    def build(self, target: str, kind: str) -> Path:
        """Package a target; the folder with what would go to dist/."""
        address = Address(*target.lstrip("/").split(":")[:1], target_name=target.split(":")[1])
        built = self.runner.request(
            BuiltPackage, [KINDS[kind].create(self.runner.get_target(address))]
        )
        dist = self.cache / "dist"
        for file in self.runner.request(DigestContents, [built.digest]):
            (dist / file.path).parent.mkdir(parents=True, exist_ok=True)
            (dist / file.path).write_bytes(file.content)
        return dist


def tool_from_cache(name: str, locked: dict[str, Any]) -> Path:
    path = CACHE / "tools" / f"{name}-{fingerprint(locked['sha256'])}" / name
    if not path.exists():
        pytest.skip(f"the launcher's cache has no {name}: run ./pants once")
    return path


def fill_cache(cache: Path, tools: dict[str, Any]) -> None:
    """Give a scratch cache the real nfpm, pex and patchelf."""
    for name, locked in tools["built"].items():
        source = tool_from_cache(name, locked)
        target = cache / source.relative_to(CACHE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def lend_libraries(cache: Path, tools: dict[str, Any], *names: str) -> None:
    """Give a scratch cache distributions that releasekit's programs import, and what these require."""
    group = tools["groups"]["build"]["packages"]
    for name in closure(group, names, wanted_by="a test"):
        place = Path("files", group[name]["sha256"], group[name]["filename"])
        (cache / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CACHE / place, cache / place)


def make_miniature(tmp_path: Path, rules: Iterable[Any] = ()) -> Miniature:
    """The checkout in `tmp_path`; skips where the launcher has not set up its cache.

    `rules`: in the place of the backend's own.
    """
    pythons = sorted(CACHE.glob("pythons/3.13-*/bin/python3.13"))
    if not pythons:
        pytest.skip("the launcher's cache has no CPython 3.13: run ./pants once")
    tools = json.loads((REPOSITORY / "packaging/locks/tools.lock").read_text("utf-8"))
    fill_cache(tmp_path, tools)
    lend_libraries(tmp_path, tools, "installer", "license-expression", "setuptools")
    runner = RuleRunner(
        rules=[
            *(rules or register.rules()),
            *core_target_rules(),
            *(QueryRule(BuiltPackage, [kind]) for kind in KINDS.values()),
            QueryRule(DigestContents, [Digest]),
            QueryRule(Snapshot, [Digest]),
        ],
        target_types=[*register.target_types(), FilesGeneratorTarget, FileTarget],
    )
    runner.set_options(
        [
            f"--build-file-prelude-globs={MACROS}",
            f"--backendai-cache={tmp_path}",
            f"--backendai-python={pythons[-1]}",
        ],
        env_inherit={"PATH"},
    )
    shared = [
        "packaging/release.toml",
        "packaging/locks/tools.lock",
        *(
            p.relative_to(REPOSITORY).as_posix()
            for pattern in (*MACROS, "packaging/templates/*.j2", "src/releasekit/*.py")
            for p in REPOSITORY.glob(pattern)
        ),
    ]
    texts = {path: (REPOSITORY / path).read_text("utf-8") for path in shared}
    # A miniature locks none of the distributions that the last table, [inputs], is about.
    texts["packaging/release.toml"] = texts["packaging/release.toml"].partition("[inputs]")[0]
    runner.write_files({**texts, "packaging/common/prune.toml": ""})
    small = Miniature(runner, tmp_path)
    small.lock_wheel("shared", {"shared/__init__.py": "WHO = 'both'\n"})
    small.lock_wheel("one", {"one/__init__.py": "import shared\n"}, ["shared"])
    small.lock_wheel("two", {"two/__init__.py": "import shared\n"}, ["shared"])
    small.write(
        {"packaging/common/BUILD": COMMON, **{f"c/{n}/BUILD": component(n) for n in ("one", "two")}}
    )
    return small


COMMON = """
backendai_tree(name="tree", package="backendai-common", skeleton=True)
backendai_package(
    name="backendai-common", summary="Shared", description="Shared files.", dependencies=[":tree"],
)
"""

# What a package of our own takes: code, and data of a wheel. The package itself each test adds.
OWN_PARTS = """
backendai_wheel(
    name="wheel", distribution="our-own", summary="Ours", packages=["our_own"], imports=["shared"],
    scripts={"our-own": "our_own:main"},
)
backendai_tree(name="tree", package="backendai-own", distributions=["our-own"])
backendai_share(name="share", unpacked_wheel="data", files={"data/*.json": "fixtures"})
"""


def component(name: str, **fields: Any) -> str:
    """The BUILD file of a small component."""
    given = {
        "summary": f"Component {name}",
        "description": "For a test.",
        "distributions": [name],
        **fields,
    }
    return f"backendai_component(name={name!r}, **{given!r})\n"
