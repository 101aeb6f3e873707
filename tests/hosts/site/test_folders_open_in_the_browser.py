"""Promise: who may use a folder sees what is in it by the web UI's file browser, and nobody else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import people as everybody
import pytest
from people import People

FOLDER = "papers"
SENT, WRITTEN = "sent.txt", "written.txt"
BUTTON = "defaultFileBrowserImage"  # of the settings that the web UI reads, as the next


@dataclass(frozen=True)
class Opened:
    """A file browser: its address, and what it answered its page."""

    address: str
    asked: list[Any]


@pytest.fixture(scope="module")
def shown(people: People) -> dict[str, Any]:
    """What the web UI is told."""
    return everybody.settings(people.ann.host)


@pytest.fixture(scope="module")
def opened(people: People, shown: dict[str, Any]) -> Iterator[Opened]:
    """Ann's, on a folder to which her client sent a file; its page writes another."""
    ann = people.ann
    ann.client("vfolder", "create", FOLDER, "local:volume1")
    ann.host.write(f"{ann.home}/{SENT}", "by the client")
    ann.client("vfolder", "upload", FOLDER, SENT, timeout=180)
    image, _, machine = shown["general"][BUTTON].partition("@")
    assert machine == "x86_64", "the web UI asks no agent which images it has"
    requests = [["GET", "?ls", ""], ["GET", SENT, ""], ["PUT", WRITTEN, "by the page"]]
    with ann.session("papers-open", "--mount", FOLDER, image=image) as session:
        told = ann.browse(app=[session, "filebrowser", None], then=requests)
        yield Opened(told["visits"][0][0], told["asked"])


def test_it_lists_what_the_client_sent_and_gives_it_back(opened: Opened) -> None:
    (listed, text), sent, _ = opened.asked
    assert listed == 200, text
    assert [file["href"] for file in json.loads(text)["files"]] == [SENT], "the folder alone"
    assert sent == [200, "by the client"]


def test_what_its_page_writes_is_in_the_folder(opened: Opened, people: People) -> None:
    assert opened.asked[2][0] in (200, 201), opened.asked
    assert WRITTEN in people.ann.client("vfolder", "ls", FOLDER)


def test_nobody_else_is_let_in(opened: Opened, people: People) -> None:
    status, text = everybody.visit(people.ann.host, f"{opened.address}?ls")
    assert status >= 400 and SENT not in text, text


def test_images_are_offered_before_any_agent_has_them(shown: dict[str, Any]) -> None:
    assert shown["environments"]["showNonInstalledImages"] is True


def test_ssh_gets_another_image_than_the_file_browser(shown: dict[str, Any]) -> None:
    """Both are of role SYSTEM, and the web UI would take the first."""
    assert "/stable/sftp:" in shown["general"]["systemSSHImage"]
    assert "/stable/filebrowser:" in shown["general"][BUTTON]
