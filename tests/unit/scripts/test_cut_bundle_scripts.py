"""A stick that loses the end of a script does not make it a check that finds nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from releasekit.bundle import BundleSpec, complete
from releasekit.signing import Signer
from tests.unit.signing_keys import throw_away_key

ROOT = Path(__file__).resolve().parents[3]
LIBRARIES = (
    *("lib/checks.sh", "lib/host.sh", "lib/apt.sh", "lib/rpm.sh", "lib/packages.sh"),
    "lib/signer.sh",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the scripts of a bundle and its signed manifest; every test takes a copy."""
    spec = BundleSpec("1-1", 1, "2026-11-23", "linux", "amd64", 0)
    root = tmp_path_factory.mktemp("bundle") / spec.name
    (root / "lib").mkdir(parents=True)
    source = ROOT / "packaging/bundle"
    for path in (*source.glob("*.sh"), *source.glob("lib/*.sh")):
        shutil.copy(path, root / path.relative_to(source))
    signer_sh = ROOT / "src/backendai_ctl/bundle/signer.sh"
    if signer_sh.exists():
        shutil.copy(signer_sh, root / "lib/signer.sh")
    packages = root / "apt/dists/stable/main/binary-amd64/Packages"
    packages.parent.mkdir(parents=True)
    packages.write_text("Package: backendai-runtime\nVersion: 1-1\nDescription: none\n")
    with throw_away_key() as key:
        signer = Signer.from_environment(key.environment())
        complete(root, spec, signer, kind="given", fingerprint=key.fingerprint)
        yield root


def run(folder: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = ["dash", str(folder / script), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def ends(text: str) -> list[int]:
    """Lengths up to the end of each function, command or paragraph: where a cut leaves good syntax."""
    lines = text.splitlines(keepends=True)
    found = [n for n, line in enumerate(lines, 1) if line[:1] not in (" ", "#")]
    return sorted({sum(map(len, lines[:n])) for n in found if n < len(lines)})


def test_the_whole_bundle_is_fine(bundle: Path) -> None:
    done = run(bundle, "verify.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Fine: this bundle is as it was released." in done.stdout


@pytest.mark.parametrize("name", ["verify.sh", *LIBRARIES])
def test_cut_anywhere_nothing_is_found_fine(name: str, bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    whole = (bundle / name).read_text()
    lengths = ends(whole)
    assert len(lengths) > 5
    for length in lengths[:: max(1, len(lengths) // 40)]:
        (copy / name).write_text(whole[:length])
        done = run(copy, "verify.sh")
        assert "Fine" not in done.stdout, (name, length)
        assert done.returncode in (1, 2), (name, length, done)


@pytest.mark.parametrize("name", ["verify.sh", "install.sh"])
def test_cut_in_its_head_it_says_so(name: str, bundle: Path, tmp_path: Path) -> None:
    """From its second line on: of less than that a shell runs nothing."""
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    lines = (bundle / name).read_text().splitlines(keepends=True)
    head = lines.index("set -u\n")
    assert head > 10
    for count in range(2, head + 3):
        (copy / name).write_text("".join(lines[:count]))
        done = run(copy, name)
        assert done.returncode == 1, (count, done)
        assert f"{name} is cut short; unpack the whole tar again" in done.stderr


@pytest.mark.parametrize("name", ["install.sh", *LIBRARIES])
def test_cut_anywhere_nothing_is_installed(name: str, bundle: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("dpkg"):
        pytest.skip("only root installs, here with dpkg")
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    assert "Nothing was changed" in run(copy, "install.sh", "--dry-run").stdout
    whole = (bundle / name).read_text()
    lengths = ends(whole)
    for length in lengths[:: max(1, len(lengths) // 25)]:
        (copy / name).write_text(whole[:length])
        done = run(copy, "install.sh", "--dry-run")
        assert "Nothing was changed" not in done.stdout, (name, length)
