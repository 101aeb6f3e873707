"""An ordinary user at the web UI: keeps files, starts sessions, computes, opens apps."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from backendai_ctl.acceptance.account import Account, Agent
from backendai_ctl.acceptance.browser import Browser
from backendai_ctl.errors import Problem
from backendai_ctl.platform import deadline

HOME = "/home/work"
RESOURCES = {"cpu": "1", "mem": "512m"}  # of a container
ENDING = 120.0  # seconds
_SESSION = """
query ($id: UUID!) { compute_session(id: $id) { status status_info status_data } }
"""
_PLACES = """
query ($id: UUID!) { compute_session(id: $id) { containers { cluster_hostname agent } } }
"""
ENDED = ("TERMINATED", "CANCELLED", "ERROR")
_PAUSE = 1.0  # seconds between two looks
_CLEANING = 30.0
_SAID = 2**16  # characters that a snippet may print
_TUS = {"Tus-Resumable": "1.0.0"}


class Visitor:
    """One account, signed in. Every call raises Problem with what the site said."""

    def __init__(self, browser: Browser, account: Account) -> None:
        self.browser = browser
        self.account = account
        browser.sign_in(account.email, account.password)

    def volumes(self) -> list[str]:
        """Where it may make folders."""
        found = self.browser.ask("GET", "/func/folders/_/hosts")["allowed"]
        return sorted(found)

    def make_folder(self, name: str, host: str, usage: str = "general") -> str:
        """Its id."""
        wanted = {"name": name, "host": host, "usage_mode": usage, "permission": "rw"}
        told = self.browser.ask("POST", "/func/folders", wanted)
        return str(told["id"])

    def remove_folder(self, folder: str) -> None:
        """Into the trash, and out of it."""
        self.browser.ask("DELETE", "/func/folders", {"id": folder})
        self.browser.ask("POST", "/func/folders/delete-from-trash-bin", {"id": folder})

    def upload(self, folder: str, name: str, content: bytes) -> None:
        """In one piece, by the storage proxy."""
        wanted = {"path": name, "size": len(content)}
        given = self.browser.ask("POST", f"/func/folders/{folder}/request-upload", wanted)
        url = f"{given['url']}?{urlencode({'token': given['token']})}"
        kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        self.browser.send("PATCH", url, content, {**_TUS, **kind})

    def download(self, folder: str, name: str) -> bytes:
        wanted = {"path": name, "archive": False}
        given = self.browser.ask("POST", f"/func/folders/{folder}/request-download", wanted)
        url = f"{given['url']}?{urlencode({'token': given['token'], 'archive': 'false'})}"
        return self.browser.send("GET", url)[1]

    def start(
        self,
        image: str,
        agents: Sequence[Agent],
        resources: Mapping[str, str],
        folders: Sequence[str],
        timeout: float,
        containers: int = 1,
    ) -> str:
        """A session on these agents with these folders, running; its id. It is ended if it does not come.

        The agents are of one resource group. `resources`: of each container.
        """
        wanted = {
            "name": f"accept-{secrets.token_hex(4)}",
            "image": image,
            "type": "interactive",
            "domain": self.account.domain,
            "group": self.account.project,
            "enqueueOnly": True,
            "reuseIfExists": False,
            "clusterSize": containers,
            "clusterMode": "multi-node" if len(agents) > 1 else "single-node",
            "config": {
                "resources": dict(resources),
                "mounts": list(folders),
                "scalingGroup": agents[0].group,
                "agentList": [agent.id for agent in agents],
            },
        }
        session = str(self.browser.ask("POST", "/func/session", wanted)["sessionId"])
        try:
            self._wait(session, "RUNNING", timeout)
            self._check_places(session, agents)
        except BaseException:
            with deadline.anew(_CLEANING):
                self.browser.ask("DELETE", f"/func/session/{session}?forced=true")
            raise
        return session

    def places(self, session: str) -> dict[str, str]:
        """{name of a container among the session's: its agent}."""
        rows = self.browser.query(_PLACES, id=session)["compute_session"]["containers"]
        return {row["cluster_hostname"]: row["agent"] for row in rows}

    def _check_places(self, session: str, agents: Sequence[Agent]) -> None:
        """The scheduler goes elsewhere where an agent has no room."""
        asked, given = {agent.id for agent in agents}, set(self.places(session).values())
        if asked != given:
            raise Problem(
                f"asked for {', '.join(sorted(asked))}, the session got {', '.join(sorted(given))}",
                hint="free resources there, and run it again",
            )

    def end(self, session: str, timeout: float) -> None:
        self.browser.ask("DELETE", f"/func/session/{session}")
        self._wait(session, "TERMINATED", timeout)

    def _wait(self, session: str, wanted: str, timeout: float) -> None:
        until = time.monotonic() + deadline.left(timeout)
        while True:
            status, why = self.state(session)
            if status == wanted:
                return
            if status in ENDED or time.monotonic() > until:
                raise Problem(f"the session is {status}{why}", hint=_LOOK)
            time.sleep(_PAUSE)

    def state(self, session: str) -> tuple[str, str]:
        """Its status, and what the scheduler or the agent says of it."""
        row = self.browser.query(_SESSION, id=session)["compute_session"]
        return row["status"], _why(row)

    def compute(self, session: str, code: str) -> str:
        """What a snippet prints, in the session's own kernel."""
        run, said, mode = secrets.token_hex(8), "", "query"
        while True:
            asked = {"mode": mode, "code": code if mode == "query" else "", "runId": run}
            result = self.browser.ask("POST", f"/func/session/{session}", asked)["result"]
            for kind, text in result.get("console") or []:
                if kind == "stderr":
                    raise Problem(f"the snippet failed: {text.strip()}")
                said += text if kind == "stdout" else ""
            if len(said) > _SAID:
                raise Problem("the snippet prints more than it was told to")
            if result["status"] == "finished":
                return said
            if result["status"] not in ("continued", "waiting-input"):
                raise Problem(f"the snippet ended as {result['status']}")
            mode = "continue"

    def open(self, session: str, app: str, protocol: str = "http") -> str:
        """The address at which the app proxy serves an app of the session, as the web UI asks for it."""
        words = {"app": app, "port": None, "login_session_token": None}
        given = self.browser.ask("POST", f"/func/session/{session}/start-service", words)
        proxy = str(given["wsproxy_addr"]).rstrip("/")
        query = urlencode({"app": app, "protocol": protocol})
        added = self._json(f"{proxy}/v2/proxy/{quote(given['token'])}/{session}/add?{query}")
        return str(self._json(added["url"])["redirect_url"])

    def gateway(self, session: str, app: str) -> tuple[str, int]:
        """Host and port at which the app proxy passes on what arrives by TCP."""
        told = self._json(self.open(session, app, "tcp"))["redirectURI"]
        place = urlsplit(parse_qs(urlsplit(told).query)["gateway"][0])
        return place.hostname or "", place.port or 0

    def _json(self, url: str) -> dict[str, str]:
        _, content = self.browser.send("GET", url, None, {"Accept": "application/json"})
        found: dict[str, str] = json.loads(content)
        return found


def _why(row: Mapping[str, str | None]) -> str:
    """What the scheduler or the agent says of it."""
    data = json.loads(row.get("status_data") or "{}")
    scheduler = data.get("scheduler") or {}
    failed = [one.get("msg") or one.get("name") for one in scheduler.get("failed_predicates", [])]
    error = (data.get("error") or {}).get("repr")
    told = [row.get("status_info"), scheduler.get("msg"), *failed, error]
    words = [str(word) for word in told if word]
    return f": {'; '.join(words)}" if words else ""


_LOOK = "see the session in the web UI, and: backendai-ctl logs manager agent"
