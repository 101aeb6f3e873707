"""With upstream's own module, as the lock has it, and a program `docker` that notes how it is called."""

from __future__ import annotations

import json
from typing import Any

import pytest
from upstream import Upstream, shared, unpack

PREPARE = """
import asyncio, json, os, sys, tempfile
from aiodocker.exceptions import DockerError
from ai.backend.agent.docker import kernel

folder = tempfile.mkdtemp()
with open(f"{folder}/docker", "w") as program:
    program.write('''#!/bin/sh
echo "$@" >>"$0.log"
case "$*" in "ps "*) [ ! -e "$0.busy" ] || { rm "$0.busy"; echo 0123abcd; }; exit 0 ;; esac
case "$*" in *"/bin/cat "*) printf '%s' "$VERSION"; exit "$STATUS" ;; esac
exit "$FILLED"
''')
os.chmod(f"{folder}/docker", 0o755)
os.environ |= {"PATH": f"{folder}:/usr/bin:/bin", **json.loads(GIVEN)}

class Docker:
    async def create(self, config):
        open(f"{folder}/docker.log", "a").write(f"volume {config['Name']}\\n")
    async def list(self):
        return [{"RepoTags": ["backendai-krunner-extractor:latest"]}]
    async def close(self):
        pass
    images = volumes = property(lambda self: self)

class Volume:
    def __init__(self, docker, name):
        pass
    async def show(self):
        if os.environ["THERE"] != "yes":
            raise DockerError(404, {"message": "no such volume"})

if os.environ.get("BUSY"):
    open(f"{folder}/docker.busy", "w").close()
kernel.Docker, kernel.DockerVolume = Docker, Volume
made = asyncio.run(kernel.prepare_krunner_env_impl("static-gnu", "static_gnu"))
calls = open(f"{folder}/docker.log").read().splitlines() if os.path.exists(f"{folder}/docker.log") else []
print(json.dumps({"volume": made[1], "calls": calls}))
"""
WHOLE = {"THERE": "yes", "STATUS": "0", "FILLED": "0"}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    wanted = ("backend-ai-agent", "backend-ai-krunner-static-gnu", "backend-ai-kernel-binary")
    return unpack(shared(tmp_path_factory), wanted)


def prepared(agent: Upstream, **given: str) -> dict[str, Any]:
    version = next(agent.folder.glob("ai/backend/krunner/static_gnu/krunner-version.*.txt"))
    given = {**WHOLE, "VERSION": version.read_text().strip(), **given}
    said = agent.run(f"GIVEN = {json.dumps(given)!r}\n{PREPARE}")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def filled(found: dict[str, Any]) -> bool:
    return any("krunner-extractor.sh" in call for call in found["calls"])


def test_a_whole_volume_is_taken_as_it_is(agent: Upstream) -> None:
    found = prepared(agent)
    assert found["volume"].startswith("backendai-krunner.v") and not filled(found)
    _, asked = found["calls"]
    assert f"-v {found['volume']}:/mnt:ro " in asked


def test_an_extractor_that_outlived_its_agent_is_waited_for(agent: Upstream) -> None:
    """Two would remove each other's files."""
    found = prepared(agent, BUSY="yes")
    ps = f"ps --quiet --filter=volume={found['volume']} --filter=ancestor=backendai-krunner-extractor"
    assert [call.startswith(ps) for call in found["calls"]] == [True, True, False]
    assert not filled(found)


@pytest.mark.parametrize(
    "given", [{"STATUS": "1", "VERSION": ""}, {"VERSION": ""}, {"VERSION": "1"}], ids=str
)
def test_a_half_made_one_is_filled_anew(agent: Upstream, given: dict[str, str]) -> None:
    found = prepared(agent, **given)
    assert found["volume"] and filled(found)
    assert (
        found["calls"][-1].endswith("/krunner-extractor.sh")
        and "/bin/sh -e /" in found["calls"][-1]
    )


def test_one_that_is_not_there_is_made_without_a_question(agent: Upstream) -> None:
    found = prepared(agent, THERE="no")
    assert found["calls"][0].startswith("volume ") and filled(found)
    assert not any("/bin/cat" in call for call in found["calls"])


def test_an_engine_that_does_not_say_is_no_reason_to_empty_it(agent: Upstream) -> None:
    assert not filled(prepared(agent, STATUS="125", VERSION=""))


def test_one_that_cannot_be_filled_is_not_used(agent: Upstream) -> None:
    assert prepared(agent, THERE="no", FILLED="1")["volume"] is None
