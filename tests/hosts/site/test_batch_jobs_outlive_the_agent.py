"""Promise: a batch job goes on while its node's agent starts again, and how it ended is known afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator

import own_servers
import people as everybody
import pytest
from people import People, Person

AGENT = "backendai-agent"
JOB = "for i in $(seq 10); do echo line $i; sleep 1; done; touch /home/work/ended; exit 7"
CONTAINER = "backendai-ctl docker ps -q --filter label=ai.backend.session-id"
STATE = "SELECT status || ' ' || result FROM sessions WHERE name = '{}'"
TIMEOUT = 120  # seconds for a session to end; 5 to 10 after its job are normal


@pytest.fixture
def ann(people: People) -> Iterator[Person]:
    people.ann.site.wait_healthy()
    yield people.ann
    people.ann.host.sh(f"systemctl start {AGENT}")


def begin(person: Person, name: str, *more: str, job: str = JOB) -> None:
    """A session that computes and fails; back once it computes."""
    size = ["-r", "cpu=1", "-r", "mem=256m", "--no-reuse"]
    words = ["session", "create", everybody.IMAGE, "--name", name, *size]
    batch = ["--type", "batch", "--startup-command", job, *more]
    person.client(*words, *batch, timeout=everybody.START_TIMEOUT)
    assert state(person, name) == "RUNNING UNDEFINED"


def state(person: Person, name: str) -> str:
    return own_servers.sql(person.host, STATE.format(name), "backendai")


def ended(person: Person, name: str) -> str:
    """Status and result of a session once it is over, or when that takes too long."""
    until = time.monotonic() + TIMEOUT
    while not (now := state(person, name)).startswith("TERMINATED") and time.monotonic() < until:
        time.sleep(0.5)
    return now


@pytest.mark.parametrize(
    "how",
    ["restart", pytest.param("kill --signal=KILL", marks=pytest.mark.breadth)],
    ids=["restarted", "killed"],
)
def test_a_job_that_runs_meanwhile(ann: Person, how: str) -> None:
    name = f"batch-{how[:4]}"
    begin(ann, name)
    ann.host.sh(f"systemctl {how} {AGENT}")
    assert ended(ann, name) == "TERMINATED FAILURE"


@pytest.mark.breadth
def test_a_job_has_the_time_that_it_had(ann: Person) -> None:
    begin(ann, "batch-long", "--timeout", "20s", job="sleep 600")
    ann.host.sh(f"systemctl restart {AGENT}")
    assert ended(ann, "batch-long") == "TERMINATED FAILURE"
    why = "SELECT status_info FROM sessions WHERE name = 'batch-long'"
    assert own_servers.sql(ann.host, why, "backendai") == "task-timeout"


def test_a_job_that_ends_meanwhile(ann: Person) -> None:
    begin(ann, "batch-away")
    ann.host.sh(f"systemctl stop {AGENT}")
    there = f"backendai-ctl docker exec $({CONTAINER}) test -e /home/work/ended"
    until = time.monotonic() + TIMEOUT
    while ann.host.run(["/bin/sh", "-c", there]).returncode:
        assert time.monotonic() < until, "the job goes on without the agent"
        time.sleep(0.5)
    ann.host.sh(f"systemctl start {AGENT}")
    assert ended(ann, "batch-away") == "TERMINATED FAILURE"
