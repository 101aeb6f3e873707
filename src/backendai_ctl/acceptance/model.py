"""Tried with a model: as a service it answers who has its token, and nobody else."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from backendai_ctl.acceptance import deployment, tiny_model
from backendai_ctl.acceptance.account import Agent
from backendai_ctl.acceptance.browser import Browser, Refused
from backendai_ctl.acceptance.outcomes import AGENT, APPS, LIMIT, Skip, Trials
from backendai_ctl.acceptance.visitor import ENDED, Visitor
from backendai_ctl.errors import Problem
from backendai_ctl.platform import deadline

# The manager looks at what is to be done once a minute, and each of several steps waits for a look.
PATIENCE = 600  # seconds
_PAUSE = 3.0  # seconds between two looks
_VALID = timedelta(hours=1)
_ASKED = {"messages": [{"role": "user", "content": "Who answers?"}]}
_MANAGER = "see: backendai-ctl logs manager appproxy-coordinator appproxy-worker"


def run(
    trials: Trials, visitor: Visitor, program: Browser, agents: Sequence[Agent], host: str
) -> None:
    """`program`: asks the model, with no cookie of the account's. `host`: the volume for the model."""
    service, limit = _Service(visitor, program, agents, host), PATIENCE + LIMIT
    if trials.attempt("model", "deployment", service.start, _MANAGER, limit):
        trials.attempt("model", "answer", service.answer, APPS)
        trials.attempt("model", "token", service.refuse, APPS)
    if service.folder:
        trials.attempt("model", "end", service.end, AGENT, limit)


class _Service:
    def __init__(
        self, visitor: Visitor, program: Browser, agents: Sequence[Agent], host: str
    ) -> None:
        self.visitor = visitor
        self.program = program
        self.agents = agents
        self.host = host
        self.folder = self.node = self.url = ""
        self.token = ""

    def start(self) -> str:
        place = max(self.agents, key=lambda agent: agent.cores)
        if place.cores < 1:
            raise Skip("it takes a free core, no node has one")
        name, query = f"accept-{secrets.token_hex(4)}", self.visitor.browser.query
        known = query(deployment.KNOWN, variant=deployment.VARIANT)
        images = [row["id"] for row in known["images"] if row["name"] == deployment.IMAGE]
        if not images:
            raise Skip(
                f"the manager knows no image {deployment.IMAGE}: see backendai-ctl image list"
            )
        self.folder = self.visitor.make_folder(name, self.host, "model")
        self.visitor.upload(self.folder, "tiny.gguf", tiny_model.tiny_model())
        project = self.visitor.account.project_id
        wanted = deployment.description(name, project=project, group=place.group)
        made = query(deployment.CREATE, input=wanted)["createModelDeployment"]["deployment"]
        self.node = made["id"]
        variant = deployment.local(known["runtimeVariants"]["edges"][0]["node"]["id"])
        number = deployment.local(self.node)
        revision = deployment.revision(number, image=images[0], variant=variant, folder=self.folder)
        query(deployment.ADD, input=revision)
        self.url = self._wait()["networkAccess"]["endpointUrl"].rstrip("/")
        asked = {"modelDeploymentId": number, "expiresAt": (datetime.now(UTC) + _VALID).isoformat()}
        told = query(deployment.TOKEN, input=asked)["createAccessToken"]["accessToken"]
        self.token = told["token"]
        return f"{deployment.IMAGE} serves"

    def _wait(self) -> Any:
        """What is seen of it once it serves."""
        until = time.monotonic() + deadline.left(PATIENCE)
        while not deployment.serving(seen := self._look()):
            if time.monotonic() > until:
                raise Problem(f"it does not serve: {self._why(seen)}")
            time.sleep(_PAUSE)
        return seen

    def _look(self) -> Any:
        return self.visitor.browser.query(deployment.LOOK_AT, id=self.node)["deployment"]

    def _why(self, seen: Any) -> str:
        """What is known of its sessions."""
        told = [f"the deployment is {seen['metadata']['status']}"]
        for edge in seen["replicas"]["edges"]:
            row = edge["node"]
            told.append(f"a replica {row['status']}, {row['healthStatus']}, {row['trafficStatus']}")
            if row["sessionId"]:
                told.append("its session {}{}".format(*self.visitor.state(row["sessionId"])))
        return "; ".join(told)

    def _ask(self, headers: dict[str, str]) -> Any:
        body = json.dumps(_ASKED).encode()
        headers = {"Content-Type": "application/json", **headers}
        _, content = self.program.send("POST", f"{self.url}/v1/chat/completions", body, headers)
        return json.loads(content)["choices"][0]["message"]["content"].strip()

    def answer(self) -> str:
        said = self._ask({"Authorization": f"Bearer {self.token}"})
        if said != tiny_model.ANSWER:
            raise Problem(f"the model says {said!r} in place of {tiny_model.ANSWER!r}")
        return f"{said!r}"

    def refuse(self) -> str:
        try:
            said = self._ask({})
        except Refused as refused:
            if refused.status != 401:
                raise
            return "without it nobody is answered"
        raise Problem(f"it answers without its token: {said!r}")

    def end(self) -> str:
        """Deployment and folder, which can go when no session uses it any more."""
        if self.node:
            number = deployment.local(self.node)
            self.visitor.browser.query(deployment.DELETE, input={"id": number})
            self._wait_for_end()
        self.visitor.remove_folder(self.folder)
        return "deployment and folder are gone"

    def _wait_for_end(self) -> None:
        until, sessions = time.monotonic() + deadline.left(PATIENCE), set[str]()
        while True:
            seen = self._look()
            rows = [edge["node"] for edge in seen["replicas"]["edges"]]
            sessions |= {row["sessionId"] for row in rows if row["sessionId"]}
            left = [one for one in sessions if self.visitor.state(one)[0] not in ENDED]
            if seen["metadata"]["status"] == "STOPPED" and not left:
                return
            if time.monotonic() > until:
                raise Problem(f"it does not end: {self._why(seen)}")
            time.sleep(_PAUSE)
