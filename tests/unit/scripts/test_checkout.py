from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from devtools.checkout import copy_sources, source_files
from releasekit.errors import Failure


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "src").mkdir(parents=True)
    (root / ".gitignore").write_text("/dist/\n")
    (root / "src/module.py").write_text("one")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "link").symlink_to("src/module.py")
    (root / "dist").mkdir()
    (root / "dist/artefact").write_text("")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return root


def test_new_files_are_sources_and_ignored_ones_are_not(checkout: Path) -> None:
    assert source_files(checkout) == [".gitignore", "link", "run", "src/module.py"]


def test_a_file_that_was_removed_is_no_source(checkout: Path) -> None:
    subprocess.run(["git", "-C", str(checkout), "add", "."], check=True)
    (checkout / "run").unlink()
    assert "run" not in source_files(checkout)


@pytest.mark.parametrize("backwards", [False, True])
def test_the_copy_keeps_content_links_and_the_executable_bit(
    checkout: Path, tmp_path: Path, backwards: bool
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    assert copy_sources(checkout, copy, backwards=backwards) == 4
    assert (copy / "src/module.py").read_text() == "one"
    assert (copy / "link").is_symlink()
    assert (copy / "run").stat().st_mode & 0o100
    assert not (copy / "src/module.py").stat().st_mode & 0o100


def test_a_folder_without_git_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="does not list the sources"):
        source_files(tmp_path)
