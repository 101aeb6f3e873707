"""Model services of a person, asked as the web UI does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from people import Person
from scenario import PYTHON

from backendai_ctl.acceptance.deployment import (
    ADD,
    CREATE,
    DELETE,
    KNOWN,
    LOOK_AT,
    TOKEN,
    description,
    local,
    revision,
    serving,
)

# The manager looks at what is to be done once a minute, and each of several steps waits for a look.
TIMEOUT = 600  # seconds
LOOK = 5  # seconds between looks
UPDATE = """
mutation ($input: UpdateDeploymentInput!) {
  updateModelDeployment(input: $input) { deployment { id } }
}
"""
# Status and text that a service answers: reads an address, the token and what to send as JSON.
CALL = """
import json, ssl, sys, urllib.error, urllib.request
order = json.load(sys.stdin)
trust = ssl.create_default_context(cafile="/etc/backendai/tls/trust.crt")
headers = {"Content-Type": "application/json"}
if order["token"]:
    headers["Authorization"] = "Bearer " + order["token"]
body = json.dumps(order["body"]).encode() if order["body"] else None
asked = urllib.request.Request(order["url"], body, headers)
try:
    answer = urllib.request.urlopen(asked, context=trust, timeout=60)
except urllib.error.HTTPError as refused:
    answer = refused
except urllib.error.URLError as gone:
    print(0, gone)
    sys.exit()
print(answer.status, answer.read().decode("utf-8", "replace"))
"""


@dataclass(frozen=True)
class Deployment:
    """One service; `address` is its own, where `token` lets in."""

    person: Person
    node: str  # its number as GraphQL nodes have it
    address: str = ""
    token: str = field(default="", repr=False)

    @property
    def number(self) -> str:
        return local(self.node)

    def look(self) -> dict[str, Any]:
        found: dict[str, Any] = self.person.ask(LOOK_AT, id=self.node)["deployment"]
        return found

    def serving(self) -> set[str]:
        """Numbers of the sessions that answer."""
        return serving(self.look())

    def wait(self, well: Callable[[set[str]], bool]) -> set[str]:
        """The sessions that answer, once they are as wanted."""
        until = time.monotonic() + TIMEOUT
        while not well(found := self.serving()):
            assert time.monotonic() < until, self.look()
            time.sleep(LOOK)
        return found

    def call(self, path: str, *, token: str | None = None, body: Any = None) -> tuple[int, str]:
        """Status and text, 0 where nobody answers; `token`: another than its own, "" for none."""
        used = self.token if token is None else token
        order = json.dumps({"url": self.address + path, "token": used, "body": body})
        said = self.person.host.check([PYTHON, "-I", "-c", CALL], stdin=order).stdout
        status, _, text = said.partition(" ")
        return int(status), text

    def scale(self, replicas: int) -> None:
        self.person.ask(UPDATE, input={"id": self.number, "replicaCount": replicas})

    def delete(self) -> None:
        """Until the person has no session, and the host no container of one; again does no harm."""
        words = {"query": DELETE, "variables": {"input": {"id": self.number}}}
        self.person.browse(posts=[["/func/admin/gql", words]])
        # The client takes a second of a core for each look: first the containers.
        containers = "backendai-ctl docker ps -aq --filter label=ai.backend.session-id"
        self.person.host.sh(f'until [ -z "$({containers})" ]; do sleep 1; done', timeout=TIMEOUT)
        until = time.monotonic() + TIMEOUT
        while left := self.person.items("session", "list"):
            assert time.monotonic() < until, left
            time.sleep(LOOK)


@contextmanager
def deployed(
    person: Person, name: str, *, image: str, variant: str, folder: str
) -> Iterator[Deployment]:
    """A service of one core by `variant`, out of a model in `folder`, until the block ends."""
    known = person.ask(KNOWN, variant=variant)
    wanted = description(name, project=known["groups"][0]["id"], group="default")
    made = person.ask(CREATE, input=wanted)["createModelDeployment"]["deployment"]["id"]
    folders, images = known["vfolder_list"]["items"], known["images"]
    wanted = revision(
        local(made),
        image=next(row["id"] for row in images if row["name"] == image),
        variant=local(known["runtimeVariants"]["edges"][0]["node"]["id"]),
        folder=next(row["id"] for row in folders if row["name"] == folder),
    )
    service = Deployment(person, made)
    try:
        person.ask(ADD, input=wanted)
        service.wait(bool)
        asked = {"modelDeploymentId": local(made), "expiresAt": "2099-12-31T00:00:00Z"}
        token = person.ask(TOKEN, input=asked)["createAccessToken"]["accessToken"]["token"]
        address = service.look()["networkAccess"]["endpointUrl"].rstrip("/")
        yield Deployment(person, made, address, token)
    finally:
        service.delete()
