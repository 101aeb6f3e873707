"""With upstream's own module, as the lock has it: an agent mounts what is kept for its sessions."""

from __future__ import annotations

from pathlib import Path

import pytest
from upstream import Upstream, shared, unpack

ASK = """
import os
{given}
from ai.backend.agent.docker.agent import DockerKernelCreationContext
print(DockerKernelCreationContext.resolve_krunner_filepath(None, "runner/entrypoint.sh"))
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return unpack(shared(tmp_path_factory), ("backend-ai-agent", "backend-ai-kernel-binary"))


def mounted(agent: Upstream, kept: Path | None) -> str:
    given = f'os.environ["BACKENDAI_SESSION_FILES"] = {str(kept)!r}' if kept else ""
    return agent.run(ASK.format(given=given)).splitlines()[-1]


def test_it_is_of_the_release_that_was_current_at_the_start(
    agent: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "26.9.6-2/runner").mkdir(parents=True)
    (tmp_path / "current").symlink_to("26.9.6-2")
    found = mounted(agent, tmp_path / "current")
    assert found == str(tmp_path / "26.9.6-2/runner/entrypoint.sh")


def test_without_it_no_agent_starts(agent: Upstream, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="FileNotFoundError"):
        mounted(agent, tmp_path / "current")


def test_a_command_finds_its_own(agent: Upstream) -> None:
    assert mounted(agent, None) == str(agent.folder / "ai/backend/runner/entrypoint.sh")
