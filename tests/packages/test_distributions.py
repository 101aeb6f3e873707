"""The distributions are installed as their wheels say: entry points, records, scripts, files and modes."""

from __future__ import annotations

import base64
import csv
import fnmatch
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
import tomllib
from payload import Package
from unpacked import ENVIRONMENT, SITE, Unpacked
from wheelhouse import Wheelhouse, canonical

import dist as artefacts
from releasekit.prune import Rule, load, rule_for

Packages = Mapping[str, Package]

# Files the agent mounts into every container.
MOUNTED = ("ai/backend/runner/", "ai/backend/kernel/", "ai/backend/helpers/")
# Our own distributions: built here, in no lock.
OURS = ("backendai-command", "backendai-ctl")
SHEBANG = f"#!{ENVIRONMENT}/bin/python -I"
OWN = "backendai-packaged\n"


@pytest.fixture(scope="session")
def infos(unpacked: Unpacked) -> dict[str, Path]:
    """The `.dist-info` folders by canonical name."""
    return {canonical(p.name.split("-")[0]): p for p in unpacked.site.glob("*.dist-info")}


@pytest.fixture(scope="session")
def rules() -> tuple[Rule, ...]:
    file = artefacts.REPOSITORY / "packaging/common/prune.toml"
    return load(tomllib.loads(file.read_text("utf-8"))["prune"], file=file.name)


def test_every_locked_distribution_is_installed_once(
    infos: Mapping[str, Path], unpacked: Unpacked, wheels: Wheelhouse
) -> None:
    assert len(infos) == len(list(unpacked.site.glob("*.dist-info")))
    assert sorted(infos) == sorted([*wheels.files, *OURS])


def test_entry_points_are_those_of_the_wheels(
    infos: Mapping[str, Path], wheels: Wheelhouse
) -> None:
    for name in wheels.files:
        inside = [
            n for n in wheels.names(name) if re.fullmatch(r"[^/]+\.dist-info/entry_points\.txt", n)
        ]
        path = infos[name] / "entry_points.txt"
        assert path.exists() == bool(inside), name
        if inside:
            assert path.read_bytes() == wheels.read(name, inside[0]), name


def test_records_list_what_is_there_and_nothing_else(
    infos: Mapping[str, Path], unpacked: Unpacked
) -> None:
    wrong, recorded = [], set()
    for info in infos.values():
        for path, digest, size in csv.reader((info / "RECORD").read_text("utf-8").splitlines()):
            file = Path(os.path.normpath(unpacked.site / path))
            recorded.add(f"/{file.relative_to(unpacked.root)}")
            if not file.is_file():
                wrong.append(f"{info.name}: {path} is not there")
            elif digest and (encoded(file), str(file.stat().st_size)) != (digest, size):
                wrong.append(f"{info.name}: {path} differs")
    assert wrong == []
    there = {
        p for p in unpacked.owners if p.startswith(f"{ENVIRONMENT}/") and not p.endswith(".pyc")
    }
    extra = there - recorded - {f"{ENVIRONMENT}/pyvenv.cfg"}
    # Programs that are no distribution lie in a folder with the name of their component.
    own = {p for p in extra if p.startswith(f"{ENVIRONMENT}/{component(unpacked.owners[p])}/")}
    assert sorted(extra - own) == []
    assert {component(unpacked.owners[p]) for p in own} == {"gateway", "account-manager"}


def component(package: str) -> str:
    return package.removeprefix("backendai-")


def encoded(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_our_own_modules_are_those_of_the_checkout(unpacked: Unpacked, debs: Packages) -> None:
    sources = artefacts.REPOSITORY / "src"
    owners = {
        "backendai_command": "backendai-common",
        "backendai_ctl": "backendai-ctl",
        "backendai_serve": "backendai-ctl",
    }
    for package, owner in owners.items():
        found = {path.relative_to(sources) for path in (sources / package).rglob("*.py")}
        inside = (unpacked.site / package).rglob("*.py")
        assert found == {path.relative_to(unpacked.site) for path in inside}
        for path in found:
            assert (unpacked.site / path).read_bytes() == (sources / path).read_bytes(), path
            assert f"{SITE}/{path}" in debs[owner].members


def test_scripts_start_the_private_interpreter_isolated(unpacked: Unpacked, debs: Packages) -> None:
    binaries = f"{ENVIRONMENT}/bin/"
    modes = {path: m.mode for deb in debs.values() for path, m in deb.paths("file").items()}
    names = [path for path in modes if path.startswith(binaries)]
    assert {f"{binaries}{name}" for name in ("backend.ai", "alembic", *OURS)} <= {*names}
    for path in names:
        head = (unpacked.root / path.lstrip("/")).read_bytes().split(b"\n", 1)[0]
        if head.startswith(b"#!") and b"python" in head:
            assert head.decode() == SHEBANG, path
        assert modes[path] == 0o755, path


def test_files_are_those_of_the_wheels_without_what_is_pruned(
    unpacked: Unpacked, wheels: Wheelhouse, rules: tuple[Rule, ...]
) -> None:
    wrong = []
    for name in wheels.files:
        for path in wheels.names(name):
            if re.match(r"[^/]+\.(dist-info/RECORD$|data/)", path):
                continue
            there = (unpacked.site / path).is_file()
            if there == bool(rule_for(rules, name, path)):
                wrong.append(f"{name}: {path} is {'there' if there else 'absent'}")
    assert wrong == []


def test_files_mounted_into_containers_are_there_with_the_modes_of_the_wheel(
    debs: Packages, wheels: Wheelhouse, rules: tuple[Rule, ...]
) -> None:
    agent = debs["backendai-agent"].members
    seen = 0
    for name in (
        "backend-ai-agent",
        "backend-ai-kernel",
        "backend-ai-kernel-binary",
        "backend-ai-kernel-helper",
    ):
        for path, mode in wheels.modes(name).items():
            if not path.startswith(MOUNTED) or path.endswith("/") or rule_for(rules, name, path):
                continue
            seen += 1
            member = agent[f"{SITE}/{path}"]
            expected = 0o755 if mode & stat.S_IXUSR else 0o644
            assert member.mode == expected, f"{path}: {member.mode:o}, the wheel says {mode:o}"
            parents = Path(f"{SITE}/{path}").parents
            folders = [str(p) for p in parents if str(p).startswith(ENVIRONMENT)]
            assert all(agent[folder].mode == 0o755 for folder in folders)
    assert seen > 50


def test_programs_mounted_into_containers_can_be_executed(debs: Packages) -> None:
    agent = debs["backendai-agent"].paths("file")
    pattern = f"{SITE}/ai/backend/runner/*.x86_64.bin"
    programs = fnmatch.filter(agent, pattern)
    assert programs and [p for p in programs if agent[p].mode != 0o755] == []


def test_manager_has_every_migration_of_its_wheel(unpacked: Unpacked, wheels: Wheelhouse) -> None:
    folder = "ai/backend/manager/models/alembic/"
    inside = [n for n in wheels.names("backend-ai-manager") if n.startswith(folder)]
    assert len([n for n in inside if "/versions/" in n]) > 200
    assert [n for n in inside if not (unpacked.site / n).is_file()] == []


def test_web_ui_is_complete_but_for_source_maps(unpacked: Unpacked, wheels: Wheelhouse) -> None:
    folder = "ai/backend/web/static/"
    inside = {n for n in wheels.names("backend-ai-webserver") if n.startswith(folder)}
    there = {
        str(p.relative_to(unpacked.site))
        for p in (unpacked.site / folder).rglob("*")
        if p.is_file() and p.suffix != ".pyc"
    }
    assert there == {n for n in inside if not n.endswith(".map")}
    for name, data in wheels.read_all("backend-ai-webserver", there):
        assert (unpacked.site / name).read_bytes() == data, name
