"""Promise: SSH of the web UI leads into one's own session, with its key alone and while it lives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import own_servers
import people as everybody
import pytest
from people import SSH_KEY, SSH_OPTIONS, People, Person, visit, with_ssh
from scenario import PYTHON

GREETS = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), 9, (sys.argv[1], 0)) as there:
    there.sendall(sys.argv[3].encode())
    print(ascii(there.recv(100))[2:-1])
"""
HELLO = "GET / HTTP/1.0\r\n\r\n"


@dataclass(frozen=True)
class Reached:
    """A session of ann's, and the port for SSH that the web UI shows her; the key is at her home."""

    session: str
    port: int
    until: ExitStack  # it ends with this


@pytest.fixture(scope="module")
def reached(people: People) -> Iterator[Reached]:
    with ExitStack() as until:
        session = until.enter_context(people.ann.session("reached"))
        people.ann.client("session", "download", session, f"/home/work/{SSH_KEY}")
        yield Reached(session, people.ann.browse(tcp=[session, "sshd"])["port"], until)


def greeted(person: Person, source: str, port: int, said: str = "") -> str:
    """What answers at a port of the site who comes from an address of loopback."""
    call = [PYTHON, "-I", "-c", GREETS, source, str(port), said]
    return person.host.check(call).stdout.strip()


def test_the_web_ui_is_told_to_show_it(people: People) -> None:
    assert everybody.settings(people.ann.host)["resources"]["allowNonAuthTCP"] is True


def test_a_command_runs_and_a_file_is_copied(people: People, reached: Reached) -> None:
    ssh = f"ssh {SSH_OPTIONS} -p {reached.port} work@localhost"
    done = with_ssh(
        people.ann,
        f"install -m 600 /keys/{SSH_KEY} /tmp/key; {ssh} 'id -un; echo $((6 * 7))'; "
        f"scp -q {SSH_OPTIONS} -P {reached.port} /etc/os-release work@localhost:copied; "
        f"{ssh} cmp /etc/os-release copied",
    )
    assert done.returncode == 0 and done.stdout.split() == ["work", "42"], done


def test_another_key_opens_nothing(people: People, reached: Reached) -> None:
    key, ssh = (
        "ssh-keygen -q -N '' -f /tmp/key",
        f"ssh {SSH_OPTIONS} -p {reached.port} work@localhost",
    )
    done = with_ssh(people.ann, f"{key}; {ssh} true")
    assert done.returncode == 255 and "Permission denied" in done.stderr, done


def test_an_app_without_a_login_answers_to_who_opened_it(people: People, reached: Reached) -> None:
    """JupyterLab asks for nothing: the app proxy's HTTP worker does, and is passed by here."""
    port = people.ann.browse(tcp=[reached.session, "jupyterlab"])["port"]
    assert greeted(people.ann, "127.0.0.1", port, HELLO).startswith("HTTP/1.1 ")
    assert greeted(people.ann, "127.0.0.2", port, HELLO) == ""
    assert greeted(people.ann, "127.0.0.2", reached.port).startswith("SSH-2.0-dropbear")


def test_nothing_answers_once_the_session_ended(people: People, reached: Reached) -> None:
    """Nor does any way stay that a later session at the same ports of its node would be led to."""
    circuits = f"SELECT count(*) FROM circuits WHERE '{reached.session}' = ANY(session_ids)"
    people.ann.browse(app=[reached.session, "ttyd", None])
    host, database = people.ann.host, "backendai_appproxy"
    of_it = f"WHERE session_id = '{reached.session}'"
    token = own_servers.sql(host, f"SELECT id FROM tokens {of_it} LIMIT 1", database)
    assert own_servers.sql(host, circuits, database) != "0"
    reached.until.close()
    assert greeted(people.ann, "127.0.0.1", reached.port) == ""
    assert own_servers.sql(host, circuits, database) == "0"
    asked = f"token={token}&session_id={reached.session}&app=sshd&protocol=tcp"
    status, text = visit(host, f"https://localhost:10200/v2/proxy/auth?{asked}")
    assert token and status == 404, text
