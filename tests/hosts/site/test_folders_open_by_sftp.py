"""Promise: where the site file says so, who may use a folder opens it by SFTP, beside what computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import own_servers
import people as everybody
import pytest
from people import SSH_KEY, SSH_OPTIONS, People, with_ssh

SITE = "[agent]\nsftp = true\n"
FOLDER = "lectures"
SLOTS = "SELECT agent_id || ' ' || slot_name || ' ' || capacity::bigint FROM agent_resources"
AGENT_OF = "SELECT agent FROM kernels WHERE session_id = '{}'"


@dataclass(frozen=True)
class Opened:
    session: str
    port: int


@pytest.fixture(scope="module")
def serving(people: People) -> Iterator[People]:
    with people.ann.site.described(SITE):
        yield people


@pytest.fixture(scope="module")
def opened(serving: People) -> Iterator[Opened]:
    """Ann's folder, opened as the web UI does it, while her other session has all cores of the host."""
    ann = serving.ann
    ann.client("vfolder", "create", FOLDER, "local:volume1")
    image = everybody.settings(ann.host)["general"]["systemSSHImage"].partition("@")[0]
    words = ["--type", "system", "--scaling-group", "sftp", "--mount", FOLDER]
    with ann.session("computes"), ann.session("opens", *words, image=image) as session:
        ann.client("session", "download", session, f"/home/work/{SSH_KEY}")
        yield Opened(session, ann.browse(tcp=[session, "sshd"])["port"])


def test_the_web_ui_knows_where(serving: People) -> None:
    (told,) = serving.ann.browse(gets=["/func/folders/_/hosts"])["got"]
    assert told["volume_info"]["local:volume1"]["sftp_scaling_groups"] == ["sftp"]


def test_what_is_put_there_is_in_the_folder(serving: People, opened: Opened) -> None:
    ann = serving.ann
    done = with_ssh(
        ann,
        f"install -m 600 /keys/{SSH_KEY} /tmp/key; printf 'put /etc/os-release {FOLDER}/sent\n'"
        f" | sftp -q -b - {SSH_OPTIONS} -P {opened.port} work@localhost",
    )
    assert done.returncode == 0, done
    assert "sent" in ann.client("vfolder", "ls", FOLDER)


def test_it_is_a_second_agents(serving: People, opened: Opened) -> None:
    named = own_servers.sql(serving.ann.host, AGENT_OF.format(opened.session), "backendai")
    assert named == "i-site-sftp"


def test_it_takes_little_from_what_computes(serving: People) -> None:
    """And no memory twice: an eighth of it is the second agent's."""
    rows = own_servers.sql(serving.ann.host, SLOTS, "backendai").splitlines()
    has = {(agent, slot): int(amount) for agent, slot, amount in (row.split() for row in rows)}
    assert has["i-site-sftp", "cpu"] == 1, has
    assert 6 < has["i-site", "mem"] / has["i-site-sftp", "mem"] < 8, has
