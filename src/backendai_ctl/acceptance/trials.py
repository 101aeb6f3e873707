"""What an acceptance tries: an account, its folders, and a session on every node."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from backendai_ctl.acceptance import account as accounts
from backendai_ctl.acceptance import cluster, model
from backendai_ctl.acceptance.account import Agent
from backendai_ctl.acceptance.browser import Browser
from backendai_ctl.acceptance.outcomes import (
    AGENT,
    APPS,
    DOCTOR,
    LIMIT,
    STORAGE,
    WEB,
    Outcome,
    Trials,
)
from backendai_ctl.acceptance.visitor import ENDING, HOME, RESOURCES, Visitor
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.topology import layout

SIZE = 2**20  # bytes of a file that goes up and comes back
FILE, ANSWER = "asked.bin", "answered.txt"
GREETING = 20.0
_SEEN = """
import hashlib, json, os
seen = {}
for folder in FOLDERS:
    path = f"{HOME}/{folder}/FILE"
    found = os.stat(path)
    content = open(path, "rb").read()
    open(f"{HOME}/{folder}/ANSWER", "w").write(str(len(content)))
    seen[folder] = [hashlib.sha256(content).hexdigest(), found.st_uid, found.st_gid]
print(json.dumps(seen))
"""
_DEVICES = 'print(open("/home/config/resource.txt").read())'


@dataclass(frozen=True)
class Wanted:
    """nodes: none means all that have an agent; timeout: seconds for a session to start; model: try one."""

    nodes: Sequence[str]
    image: str
    timeout: float
    model: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder of the account's on a volume, with a file of random bytes in it."""

    id: str
    host: str
    name: str
    content: bytes


def run(
    ctx: Context, admin: Browser, wanted: Wanted, tell: Callable[[Outcome], None]
) -> list[Outcome]:
    """Try everything; what an earlier failure makes impossible is not tried. Raises BadRequest.

    The caller is the only one at it on this host.
    """
    trials, host = Trials(tell), accounts.host_of(ctx.node)
    accounts.clear(admin, host)  # what a run left that was cut off: it is not free
    chosen = _chosen(ctx, wanted, accounts.agents(admin), trials)
    account, visitors = accounts.make(admin, host), list[Visitor]()

    def sign_in() -> str:
        trusted, apps = ctx.paths.tls / "trust.crt", ctx.site.apps.domain or ""
        visitors.append(Visitor(Browser(admin.url, trusted, apps), account))
        return f"a new account in the project {account.project}"

    def remove() -> str:
        accounts.clear(admin, host)
        return "with all that it made"

    try:
        if trials.attempt("account", "sign-in", sign_in, WEB):
            with _folders(trials, visitors[0]) as folders:
                for agent in chosen:
                    node = _Node(ctx, trials, visitors[0], agent, folders)
                    node.run(wanted.image, wanted.timeout)
                cluster.run(trials, visitors[0], chosen, wanted.image, wanted.timeout)
                if wanted.model and folders and chosen:
                    program = Browser(admin.url, ctx.paths.tls / "trust.crt")
                    model.run(trials, visitors[0], program, chosen, folders[0].host)
    finally:
        trials.attempt("account", "removed", remove, WEB)
    return trials.outcomes


def _chosen(
    ctx: Context, wanted: Wanted, agents: Sequence[Agent], trials: Trials
) -> Sequence[Agent]:
    """The agents of the nodes that are wanted; a node of the site without one has failed."""
    expected = set(layout.running(ctx.site, ctx.facts, "agent"))
    there = {agent.node for agent in agents}
    for name in wanted.nodes:
        if name not in expected | there:
            known = ", ".join(sorted(expected | there)) or "none"
            raise BadRequest(f"no node {name!r} has an agent", hint=f"nodes with agents: {known}")
    for name in sorted(expected - there):
        if not wanted.nodes or name in wanted.nodes:
            hint = f"see on {name}: backendai-ctl status"
            trials.note(Outcome(f"node {name}", "agent", "fail", "the manager hears nothing", hint))
    if not expected | there:
        hint = "see on compute nodes: backendai-ctl status"
        trials.note(Outcome("site", "agents", "fail", "the manager hears of none", hint))
    return [agent for agent in agents if not wanted.nodes or agent.node in wanted.nodes]


@contextmanager
def _folders(trials: Trials, visitor: Visitor) -> Iterator[list[Folder]]:
    """A folder on each volume, until the block ends."""
    made: list[Folder] = []
    hosts: list[str] = []
    try:
        hosts = visitor.volumes()
    except Problem as problem:
        trials.note(Outcome("storage", "volumes", "fail", problem.message, problem.hint or STORAGE))
    for host in hosts:
        trials.attempt("storage", host, partial(_fill, visitor, host, made), STORAGE)
    try:
        yield made
    finally:
        for folder in made:
            trials.attempt(
                "storage", f"{folder.host} removed", partial(_remove, visitor, folder), STORAGE
            )


def _fill(visitor: Visitor, host: str, made: list[Folder]) -> str:
    name, content = f"accept-{secrets.token_hex(4)}", secrets.token_bytes(SIZE)
    folder = Folder(visitor.make_folder(name, host), host, name, content)
    made.append(folder)
    visitor.upload(folder.id, FILE, content)
    if visitor.download(folder.id, FILE) != content:
        raise Problem(f"{host}: what comes down is not what went up")
    return f"{SIZE // 2**20} MiB up and down"


def _remove(visitor: Visitor, folder: Folder) -> str:
    visitor.remove_folder(folder.id)
    return "as its owner"


class _Node:
    """The trials of one node: all in one session, which ends with them."""

    def __init__(
        self,
        ctx: Context,
        trials: Trials,
        visitor: Visitor,
        agent: Agent,
        folders: Sequence[Folder],
    ) -> None:
        self.ctx = ctx
        self.trials = trials
        self.visitor = visitor
        self.agent = agent
        self.folders = folders
        self.session = ""
        self.devices = {name: "1" for name, free in agent.devices.items() if free >= 1}

    def run(self, image: str, timeout: float) -> None:
        group = f"node {self.agent.node}"
        start = partial(self._start, image, timeout)
        if not self.trials.attempt(group, "session", start, limit=int(timeout) + LIMIT):
            return
        looks: dict[str, tuple[Callable[[], str], str]] = {
            "computing": (self._compute, AGENT),
            "files": (self._files, STORAGE),
            "notebook": (lambda: self._page("jupyterlab", "JupyterLab"), APPS),
            "terminal": (lambda: self._page("ttyd", "ttyd"), APPS),
            "ssh": (self._ssh, APPS),
        }
        if self.devices:
            looks["devices"] = (self._devices, DOCTOR)
        elif self.agent.devices:
            self.trials.note(Outcome(group, "devices", "skip", "all are in use"))
        for name, (look, where) in looks.items():
            self.trials.attempt(group, name, look, where)
        self.trials.attempt(group, "end", self._end, AGENT)

    def _start(self, image: str, timeout: float) -> str:
        names = [folder.name for folder in self.folders]
        wanted = {**RESOURCES, **self.devices}
        self.session = self.visitor.start(image, [self.agent], wanted, names, timeout)
        return f"{image} runs"

    def _compute(self) -> str:
        said = self.visitor.compute(self.session, "print(6 * 7)").strip()
        if said != "42":
            raise Problem(f"6 * 7 gave {said!r}")
        return "a line in the session's kernel"

    def _files(self) -> str:
        """The session sees each folder's file, whose owner is the services' user, and may answer."""
        names = json.dumps([folder.name for folder in self.folders])
        code = _SEEN.replace("FOLDERS", names).replace("{HOME}", HOME)
        code = code.replace("FILE", FILE).replace("ANSWER", ANSWER)
        seen = json.loads(self.visitor.compute(self.session, code))
        for folder in self.folders:
            digest, *numbers = seen[folder.name]
            if digest != hashlib.sha256(folder.content).hexdigest():
                raise Problem("the session sees another file than was sent")
            if tuple(numbers) != self.ctx.numbers:
                raise Problem(
                    f"the file belongs to {numbers[0]}:{numbers[1]}, not to "
                    f"{self.ctx.numbers[0]}:{self.ctx.numbers[1]}"
                )
            if self.visitor.download(folder.id, ANSWER) != str(SIZE).encode():
                raise Problem("what the session wrote does not come down")
        return f"read and written, of {self.ctx.numbers[0]}:{self.ctx.numbers[1]}"

    def _page(self, app: str, word: str) -> str:
        url = self.visitor.open(self.session, app)
        _, content = self.visitor.browser.send("GET", url)
        if word.encode() not in content:
            raise Problem(f"{app} gives a page without {word}")
        return "opens by the app proxy"

    def _ssh(self) -> str:
        """Its server greets; who has the session's key gets in."""
        host, port = self.visitor.gateway(self.session, "sshd")
        try:
            with socket.create_connection((host, port), GREETING) as there:
                said = there.recv(64)
        except OSError as failure:
            raise Problem(f"{host}:{port}: {failure}") from failure
        if not said.startswith(b"SSH-2.0"):
            raise Problem(f"{host}:{port} is not greeted by SSH: {said!r}")
        return f"answers at port {port}"

    def _devices(self) -> str:
        told = self.visitor.compute(self.session, _DEVICES)
        lines = (line.partition("=") for line in told.splitlines())
        given = json.loads({key: value for key, _, value in lines}.get("SLOTS", "{}"))
        lacking = [name for name in self.devices if float(given.get(name, 0)) < 1]
        if lacking:
            raise Problem(f"the session was given no {', '.join(lacking)}")
        return f"one each of {', '.join(self.devices)}"

    def _end(self) -> str:
        self.visitor.end(self.session, ENDING)
        return "the session is gone"
