"""Promise: a folder with a model in it is a service: it answers who has its token, grows, and heals."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from deployments import Deployment, deployed
from people import People, Person

from backendai_ctl.acceptance.tiny_model import ANSWER, tiny_model

FOLDER, MODEL = "tiny-models", "tiny-answer"
ASKED = {"messages": [{"role": "user", "content": "Who answers?"}]}
CHAT, MODELS = "/v1/chat/completions", "/v1/models"


@pytest.fixture(scope="module")
def roomy(people: People) -> Iterator[Person]:
    """Ann, while sessions get both cores of the host: by itself one of them is the host's."""
    with people.ann.site.described("[agent]\nreserved_cpu = 0\n"):
        yield people.ann


@pytest.fixture(scope="module")
def service(roomy: Person) -> Iterator[Deployment]:
    """Ann's, with what its form has set, of upstream's variant llama-cpp and the image of the bundle."""
    ann = roomy
    ann.client("vfolder", "create", FOLDER, "local:volume1", "--usage-mode", "model")
    write(ann, f"{MODEL}.gguf", tiny_model())
    ann.client("vfolder", "upload", FOLDER, f"{MODEL}.gguf", timeout=180)
    with deployed(
        ann, "tiny", image="stable/llm-cpu", variant="llama-cpp", folder=FOLDER
    ) as service:
        yield service
    ann.client("vfolder", "delete", FOLDER)


def write(person: Person, name: str, data: bytes) -> None:
    """A file of a person's, which is no text."""
    call = ["/bin/sh", "-euc", 'base64 -d >"$1"', "sh", f"{person.home}/{name}"]
    person.host.check(call, stdin=base64.b64encode(data).decode())


def containers(service: Deployment) -> dict[str, str]:
    """{session: its container} of sessions that serve."""
    label = "ai.backend.session-id"
    list_them = [
        "backendai-ctl",
        "docker",
        "ps",
        "--format",
        f'{{{{.Label "{label}"}}}} {{{{.ID}}}}',
    ]
    rows = service.person.host.check(list_them).stdout.splitlines()
    known = dict(row.split() for row in rows if len(row.split()) == 2)
    return {session: known[session] for session in service.serving()}


def answer(service: Deployment) -> str:
    status, text = service.call(CHAT, body=ASKED)
    assert status == 200, text
    return str(json.loads(text)["choices"][0]["message"]["content"]).strip()


def test_it_answers_by_the_name_of_its_file(service: Deployment) -> None:
    status, text = service.call(MODELS)
    assert status == 200, text
    assert [model["id"] for model in json.loads(text)["data"]] == [MODEL]
    assert answer(service) == ANSWER


@pytest.mark.parametrize("token", ["", "not.a.token"])
def test_without_its_token_nobody_is_answered(service: Deployment, token: str) -> None:
    for path, body in ((MODELS, None), (CHAT, ASKED)):
        status, text = service.call(path, token=token, body=body)
        assert status == 401 and MODEL not in text and ANSWER not in text


def test_the_web_ui_chats_with_it(service: Deployment, screenshots: Path) -> None:
    ann = service.person
    seen = browser.visit(
        ann.host,
        url="https://localhost:8090",
        email=ann.email,
        password=ann.password,
        pages={},
        chat="Who answers?",
        folder=screenshots / "chat",
    )
    assert MODEL in seen.pages["chat"]["text"] and ANSWER in seen.pages["chat"]["text"]
    assert seen.outside == {}


@pytest.mark.breadth  # five minutes, in which the manager waits
def test_it_grows_and_replaces_what_was_killed(service: Deployment) -> None:
    """Both at once, for the manager takes minutes: of two that serve, none is the one that was."""
    ((before, container),) = containers(service).items()
    service.scale(2)
    service.person.host.check(["backendai-ctl", "docker", "kill", container])
    service.wait(lambda serving: len(serving) == 2 and before not in serving)
    assert {answer(service) for _ in range(24)} == {ANSWER}
    for container in containers(service).values():
        log = service.person.host.check(["backendai-ctl", "docker", "logs", container])
        assert "print_timing" in log.stdout + log.stderr, f"{container} was asked nothing"


def test_it_ends_without_remains(service: Deployment) -> None:
    service.delete()
    status, text = service.call(CHAT, body=ASKED)
    assert status == 400 and "Unregistered slot" in text, (
        "of its port's proxy: there is no such service"
    )
