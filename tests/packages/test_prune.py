"""What packages leave out of wheels is really there, and nobody misses it.

Two environments are made from the debs: one with every pruned file put back from its wheel, one as the
prune table says. All modules that stay are imported in both by the private CPython; each must end the
same way, be it an error (wheels hold modules for other systems). 14,000 modules twice are 3 minutes of
work, shared by two cores, so all of them are imported every time.
"""

from __future__ import annotations

import csv
import fnmatch
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tomllib
from unpacked import Unpacked
from wheelhouse import NotInCache, Wheelhouse, canonical, python

import dist as artefacts
from releasekit.prune import Rule, load, rule_for

HERE = Path(__file__).resolve().parent
TABLE = artefacts.REPOSITORY / "packaging/common/prune.toml"
TIMEOUT = 1800  # seconds for one environment on a busy machine
MODULE = re.compile(
    r"(?P<path>.+?)(/__init__)?(\.py|\.abi3\.so|\.cpython-313-x86_64-linux-gnu\.so)"
)

# Modules that are not imported: pattern of their names, and why.
LEFT_OUT = {
    "*.__main__": "a program: importing it runs it",
}

# ai.backend.kernel starts its process anew, under another name, unless that was done.
ENVIRONMENT = {"BACKEND_REEXECED": "1"}

Outcomes = Mapping[str, str]


@pytest.fixture(scope="module")
def rules() -> tuple[Rule, ...]:
    return load(tomllib.loads(TABLE.read_text("utf-8"))["prune"], file=TABLE.name)


def test_every_row_leaves_something_out(wheels: Wheelhouse, rules: tuple[Rule, ...]) -> None:
    unused = set(rules)
    for name in wheels.files:
        for path in wheels.names(name):
            unused.discard(rule_for(rules, name, path))  # type: ignore[arg-type]
    assert [f"{rule.distribution}: {rule.pattern}" for rule in unused] == []


def test_no_module_misses_what_is_left_out(before: Outcomes, after: Outcomes) -> None:
    different = {
        name: f"before: {before[name]}; after: {result}"
        for name, result in after.items()
        if result != before[name]
    }
    assert different == {}


def test_nearly_every_module_can_be_imported(after: Outcomes) -> None:
    """A guard of this test itself: were most imports to fail, equality would say nothing."""
    good = sum(result == "ok" for result in after.values())
    assert good > 0.93 * len(after) > 100
    assert after["ai.backend.manager.server"] == after["ai.backend.agent.server"] == "ok"
    assert [name for name, result in after.items() if "not reached" in result] == []


@pytest.fixture(scope="module")
def outcomes(
    unpacked: Unpacked,
    wheels: Wheelhouse,
    rules: tuple[Rule, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Outcomes, Outcomes]:
    """How each module's import ends, before and after pruning."""
    try:
        interpreter = python()
    except NotInCache as missing:
        artefacts.unavailable(str(missing))
    work = tmp_path_factory.mktemp("prune")
    sites = [
        environment(unpacked.site, work / "before", wheels, rules=()),
        environment(unpacked.site, work / "after", wheels, rules=rules),
    ]
    groups = modules(sites[1])
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(lambda site: probe(interpreter, site, groups), sites)
    return before, after


@pytest.fixture(scope="module")
def before(outcomes: tuple[Outcomes, Outcomes]) -> Outcomes:
    return outcomes[0]


@pytest.fixture(scope="module")
def after(outcomes: tuple[Outcomes, Outcomes]) -> Outcomes:
    return outcomes[1]


def environment(shipped: Path, target: Path, wheels: Wheelhouse, rules: tuple[Rule, ...]) -> Path:
    """A site-packages like the shipped one, pruned by `rules` instead of what it was built with."""
    shutil.copytree(shipped, target, copy_function=os.link)
    for name, file in wheels.files.items():
        with zipfile.ZipFile(file) as wheel:
            for path in wheel.namelist():
                place = target / path
                if path.endswith("/") or re.match(r"[^/]+\.data/", path):
                    continue
                if rule_for(rules, name, path):
                    place.unlink(missing_ok=True)
                elif not place.exists():
                    wheel.extract(path, target)
    return target


def modules(site: Path) -> dict[str, list[str]]:
    """The modules of each distribution that are to be imported, sorted."""
    found = {}
    for info in sorted(site.glob("*.dist-info")):
        rows = csv.reader((info / "RECORD").read_text("utf-8").splitlines())
        names = sorted(
            {name for row in rows if (site / row[0]).is_file() for name in module(row[0])}
        )
        found[canonical(info.name.split("-")[0])] = names
    return found


def module(path: str) -> Iterator[str]:
    """The name under which a file is imported, if it can be."""
    match = MODULE.fullmatch(path)
    if not match:
        return
    parts = match["path"].split("/")
    name = ".".join(parts)
    if all(map(str.isidentifier, parts)) and not any(fnmatch.fnmatch(name, p) for p in LEFT_OUT):
        yield name


def probe(interpreter: Path, site: Path, groups: Mapping[str, list[str]]) -> Outcomes:
    """Import all groups in one environment."""
    home = site.with_suffix(".home")
    home.mkdir()
    (home / "groups.json").write_text(json.dumps(groups), "utf-8")
    subprocess.run(
        [interpreter, "-I", HERE / "import_probe.py", site, home / "groups.json", home / "out"],
        cwd=home,
        env={"HOME": str(home), "PATH": os.defpath, "LC_ALL": "C.UTF-8", **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=TIMEOUT,
    )
    found: Outcomes = json.loads((home / "out").read_text("utf-8"))
    return found
