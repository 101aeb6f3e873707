"""Promise: where the site file says so, sessions that nobody uses end, and those with an app open do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import own_servers
import pytest
from people import SSH_KEY, SSH_OPTIONS, People, Person, with_ssh

UNUSED = 40  # seconds
SITE = f'[sessions]\nidle_timeout = "{UNUSED}s"\n'
CHECKS = 15  # seconds between two
HELD = UNUSED + CHECKS + 5
TIMEOUT = UNUSED + CHECKS + 30  # and what it takes to end a session
STATE = "SELECT status || ' ' || coalesce(status_info, '') FROM sessions WHERE id = '{}'"


@pytest.fixture(scope="module")
def ann(people: People) -> Iterator[Person]:
    with people.ann.site.described(SITE):
        yield people.ann


def state(person: Person, session: str) -> str:
    """Status, and why."""
    return own_servers.sql(person.host, STATE.format(session), "backendai")


def by_page(person: Person, session: str) -> str:
    """Have a terminal open; the state at the end."""
    person.browse(app=[session, "ttyd", None], hold=["/ws", HELD])
    return state(person, session)


def by_ssh(person: Person, session: str) -> str:
    """Be logged in; the state at the end."""
    person.client("session", "download", session, f"/home/work/{SSH_KEY}")
    port = person.browse(tcp=[session, "sshd"])["port"]
    call = f"ssh {SSH_OPTIONS} -p {port} work@localhost sleep {HELD}"
    done = with_ssh(person, f"install -m 600 /keys/{SSH_KEY} /tmp/key; {call}")
    assert done.returncode == 0, done
    return state(person, session)


@pytest.mark.parametrize("use", [by_page, pytest.param(by_ssh, marks=pytest.mark.breadth)])
def test_a_session_ends_once_nobody_uses_it(ann: Person, use: Callable[[Person, str], str]) -> None:
    with ann.session("in-use") as session:
        assert use(ann, session).startswith("RUNNING")
        until = time.monotonic() + TIMEOUT
        while not (now := state(ann, session)).startswith("TERMINATED"):
            assert time.monotonic() < until, now
            time.sleep(1)
        assert now == "TERMINATED idle-timeout"
