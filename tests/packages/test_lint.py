"""lintian and rpmlint have nothing to say that packaging/ does not explain.

What is by design is overridden with its reason: packaging/templates/lintian-overrides.j2 for debs, in
the packages themselves, and rpmlint.toml beside this file for rpms. Errors and warnings are both refused.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tomllib

import dist as artefacts

HERE = Path(__file__).resolve().parent
TEMPLATE = artefacts.REPOSITORY / "packaging/templates/lintian-overrides.j2"
CONFIG = HERE / "rpmlint.toml"
TIMEOUT = 900  # seconds for one package on a busy machine
# Plugins of accelerators come out of one macro: the first stands for all but in a run of breadth.
ALIKE = "backendai-accelerator-"
WORKERS = 2  # linters run on one core each

Outputs = Mapping[str, str]


def lint_all(files: list[Path], lint: Callable[[Path], str]) -> Outputs:
    """What a linter prints of each file, by file name; the largest files start first."""
    ordered = sorted(files, key=lambda file: -file.stat().st_size)
    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip((file.name for file in ordered), pool.map(lint, ordered), strict=True))


def run(argv: list[str], **environment: str) -> str:
    """Standard output and error of a linter, whatever its exit status."""
    done = subprocess.run(
        argv,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    return done.stdout


def lintian(file: Path) -> str:
    # fmt: off
    argv = [
        "lintian", "--no-cfg", "--allow-root", "--show-overrides", "--tag-display-limit", "0",
        "--fail-on", "error",
        # What binaries spell wrongly it only remarks, and takes as long for as for all the rest.
        "--dont-check-part", "binaries/spelling",
    ]
    # fmt: on
    with tempfile.TemporaryDirectory(prefix="lintian-") as folder:
        return run([*argv, str(in_gzip(file, Path(folder)))])


def in_gzip(file: Path, folder: Path) -> Path:
    """The same deb with its files in gzip: Debian 13's lintian looks into none in zstd."""
    control, data = (
        subprocess.run(["dpkg-deb", what, str(file)], check=True, capture_output=True).stdout
        for what in ("--ctrl-tarfile", "--fsys-tarfile")
    )
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(control, 1, mtime=0),
        "data.tar.gz": gzip.compress(data, 1, mtime=0),
    }
    made = folder / file.name
    with made.open("wb") as deb:
        deb.write(b"!<arch>\n")
        for name, content in members.items():
            head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
            deb.write(head.encode() + content + b"\n" * (len(content) % 2))
    return made


def rpmlint(config: Path) -> Callable[[Path], str]:
    def lint(file: Path) -> str:
        return run(["rpmlint", "--config", str(config), str(file)], CONFIG_DISABLE_AUTOLOADING="1")

    return lint


def chosen(folder: Path, pattern: str, config: pytest.Config) -> list[Path]:
    """The packages that are linted in this run."""
    found = sorted(folder.glob(pattern))
    alike = [] if config.getoption("--all") else [p for p in found if p.name.startswith(ALIKE)]
    return [path for path in found if path not in alike[1:]]


@pytest.fixture(scope="module")
def of_lintian(dist: Path, pytestconfig: pytest.Config) -> Outputs:
    if not shutil.which("lintian"):
        artefacts.unavailable("lintian is not installed (apt install lintian)")
    return lint_all(chosen(dist, "*.deb", pytestconfig), lintian)


@pytest.fixture(scope="module")
def of_rpmlint(
    dist: Path, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Outputs:
    """What rpmlint says before any filter; one run shows both what is left and which filters serve."""
    if not shutil.which("rpmlint"):
        artefacts.unavailable("rpmlint is not installed (apt install rpmlint)")
    bare = tmp_path_factory.mktemp("rpmlint") / "bare.toml"
    text = CONFIG.read_text("utf-8")
    bare.write_text(text[: text.index("Filters = [")], "utf-8")
    return lint_all(chosen(dist, "*.rpm", pytestconfig), rpmlint(bare))


def filters() -> list[str]:
    """Regular expressions of what is by design."""
    found: list[str] = tomllib.loads(CONFIG.read_text("utf-8"))["Filters"]
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per file, so that a report names it."""
    for argument, pattern in (("deb_file", "*.deb"), ("rpm_file", "*.rpm")):
        if argument in metafunc.fixturenames:
            found = chosen(artefacts.folder(metafunc.config), pattern, metafunc.config)
            metafunc.parametrize(argument, [path.name for path in found] or [""])


def test_lintian_has_nothing_to_say(of_lintian: Outputs, deb_file: str) -> None:
    said = of_lintian[deb_file].splitlines()
    assert [line for line in said if re.match(r"[EW]:|lintian|warning|error", line)] == []


def test_rpmlint_has_nothing_to_say(of_rpmlint: Outputs, rpm_file: str) -> None:
    said = of_rpmlint[rpm_file]
    assert "1 packages and 0 specfiles checked" in said, f"rpmlint failed:\n{said}"
    lines = [line for line in said.splitlines() if re.search(r": [EW]: ", line)]
    assert [line for line in lines if not any(re.search(f, line) for f in filters())] == []


def test_rpmlint_reads_the_filters_as_these_tests_do(dist: Path) -> None:
    role = next(dist.glob("backendai-all-in-one-*.rpm"))
    assert "0 errors, 0 warnings" in rpmlint(CONFIG)(role)


def test_every_lintian_override_is_needed(of_lintian: Outputs) -> None:
    tags = set(re.findall(r"^\{\{ package \}\}: (\S+)", TEMPLATE.read_text("utf-8"), re.MULTILINE))
    used = {
        match.group(1)
        for said in of_lintian.values()
        for match in re.finditer(r"^O: [^:]+: (\S+)", said, re.MULTILINE)
    }
    release = tomllib.loads((artefacts.REPOSITORY / "packaging/release.toml").read_text("utf-8"))[
        "release"
    ]
    if release["revision"] > 1:  # lintian takes the first revision alone for an initial upload
        tags.discard("initial-upload-closes-no-bugs")
    assert sorted(tags - used) == []


def test_every_rpmlint_filter_is_needed(of_rpmlint: Outputs) -> None:
    said = "\n".join(of_rpmlint.values())
    assert [f for f in filters() if not re.search(f, said, re.MULTILINE)] == []


def test_every_override_says_why() -> None:
    for file, entry in ((TEMPLATE, r"\{\{ package \}\}: "), (CONFIG, r'\s+" [EW]: ')):
        explained = False
        for line in file.read_text("utf-8").splitlines():
            if re.match(entry, line):
                assert explained, f"{file.name}: no comment above: {line.strip()}"
            elif line.strip().startswith("#"):
                explained = True
            elif not line.strip() or line.startswith("{%"):
                explained = False
