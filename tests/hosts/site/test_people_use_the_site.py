"""Promise: whoever has an account computes and keeps files, and sees nothing of anybody else."""

from __future__ import annotations

from pathlib import Path

import browser
import pytest
from people import People, Person

HOST = "local:volume1"


@pytest.fixture(scope="module")
def folders(people: People) -> dict[str, str]:
    """A folder of each person, {owner: name}, with a file in it."""
    names = {}
    for person in (people.admin, people.ann, people.ben):
        names[person.name] = f"of-{person.name}"
        person.client("vfolder", "create", names[person.name], HOST)
        person.host.write(f"{person.home}/hello.txt", f"of {person.name}\n")
        person.client("vfolder", "upload", names[person.name], "hello.txt", timeout=180)
    return names


def owner(people: People, name: str) -> Person:
    found: Person = getattr(people, name)
    return found


@pytest.mark.parametrize("name", ["ann", "ben"])
def test_an_account_starts_a_session_with_its_folder(
    people: People, folders: dict[str, str], name: str
) -> None:
    """Ann's was made by the client, Ben's by the web UI with the project that its form presets."""
    person = owner(people, name)
    other = people.ben if person is people.ann else people.ann
    with person.session(f"{name}-works", "-v", folders[name]) as session:
        label = f"label=ai.backend.session-id={session}"
        docker, file = "backendai-ctl docker", f"/home/work/{folders[name]}/hello.txt"
        read = f"{docker} exec $({docker} ps -q --filter {label}) cat {file}"
        assert person.host.sh(read) == f"of {name}"
        assert [row["name"] for row in person.items("session", "list")] == [f"{name}-works"]
        assert other.items("session", "list") == []


@pytest.mark.parametrize("name", ["ann", "ben"])
def test_an_account_sees_its_own_folders_alone(
    people: People, folders: dict[str, str], name: str
) -> None:
    person = owner(people, name)
    listed = {row["name"] for row in person.items("vfolder", "list")}
    assert listed & {*folders.values()} == {folders[name]}
    for other in {*folders} - {name}:
        refused = person.run("vfolder", "ls", folders[other])  # its exit status tells nothing
        assert "No such virtual folder" in refused.stderr, refused
        assert "hello.txt" not in refused.stdout


def test_an_account_may_not_list_the_others(people: People) -> None:
    for person in (people.ann, people.ben):
        refused = person.run("admin", "user", "list")
        assert refused.returncode != 0, refused
        assert people.admin.email not in refused.stdout + refused.stderr


def test_the_web_ui_has_a_project_for_who_was_made_in_it(people: People, screenshots: Path) -> None:
    seen = browser.visit(
        people.ben.host,
        url="https://localhost:8090",
        email=people.ben.email,
        password=people.ben.password,
        pages={
            "start": "",
            "launcher": "/session/start?step=1",
            "preferences": "/usersettings",
            "data": "/data",
        },
        make_folder="by-browser",
        walk=True,
        folder=screenshots / "ordinary-user",
    )
    assert seen.outside == {}
    for page in seen.pages.values():
        assert "No accessible projects" not in page.get("text", "")
        assert "No resource group" not in page.get("text", "")
    form = seen.pages["launcher"]["text"]
    assert "Python" in form and "3.13" in form and "Please enter Environments" not in form
    preferences = seen.pages["preferences"]["text"]
    assert "Experimental features" in preferences
    assert "Hugging Face" not in preferences and "Automatic Update" not in preferences
    assert "by-browser" in seen.pages["folder"]["text"]
    assert "Start Session" in seen.pages["start"]["text"]


def test_the_client_says_what_it_lacks(people: People) -> None:
    assert people.ann.host.run(["sh", "-c", "command -v ssh"]).returncode != 0
    said = people.ann.run("ssh", "no-session")
    assert said.returncode == 1 and "hint: apt install openssh-client" in said.stderr, said
    assert "Traceback" not in said.stdout + said.stderr
