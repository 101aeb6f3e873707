"""What `backend.ai ssh` says where there is no ssh, with upstream's own command as the lock has it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from upstream import ROOT, Upstream, python

from backendai_command import ssh


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ssh", "mine"], True),
        (["session", "scp", "mine", "a", "b"], True),
        (["--output", "json", "session", "ssh", "mine"], True),
        (["session", "list"], False),
        (["vfolder", "ls", "a", "ssh"], False),
        ([], False),
    ],
)
def test_only_commands_that_start_it_load_more(words: list[str], found: bool) -> None:
    assert ssh.wanted(words) is found


def run(upstream: Upstream, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python()), "-m", "backendai_command", *words],
        env={
            "PYTHONPATH": f"{ROOT / 'src'}:{upstream.folder}",
            "PATH": str(folder),
            "HOME": str(folder),
            "BACKEND_ENDPOINT_TYPE": "session",
            "BACKEND_ENDPOINT": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("words", [["ssh", "mine"], ["session", "scp", "mine", "a", "b"]])
def test_what_is_missing_is_said_before_anything_is_done(
    upstream: Upstream, tmp_path: Path, words: list[str]
) -> None:
    said = run(upstream, tmp_path, *words)
    assert said.returncode == 1, said
    assert "backend.ai: ssh and scp: not installed\nhint: " in said.stderr
    assert "Traceback" not in said.stdout + said.stderr
    assert not (tmp_path / ".ssh").exists()


def test_where_it_is_there_upstream_goes_on(upstream: Upstream, tmp_path: Path) -> None:
    for name in ssh.PROGRAMS:
        (tmp_path / name).write_text("#!/bin/sh\n")
        os.chmod(tmp_path / name, 0o755)
    said = run(upstream, tmp_path, "ssh", "mine")
    assert "not installed" not in said.stderr
    assert "Failed to download the SSH key" in said.stdout + said.stderr
