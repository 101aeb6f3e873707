"""People of a site, each with a client and a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tomllib
from host import Host, Result
from scenario import EMAIL, HERE, INSIDE, PYTHON
from site_host import SiteHost

IMAGE = "127.0.0.1:8140/stable/python:3.13-debian13"  # of the bundle, in the site's registry
IMAGE_PYTHON = "/usr/bin/python3"
ACCOUNT = "people"  # of the host, and nobody special there: clients run as it
NEW_USER = """
mutation ($input: CreateUserV2Input!) {
  adminCreateUserV2(input: $input) { user { basicInfo { email } } keypair { secretKey } }
}
"""
PROJECTS = (
    'query ($type: [String]) { groups(domain_name: "default", type: $type) { id name type } }'
)
SSH_KEY = "id_container"
SSH_OPTIONS = (
    "-i /tmp/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
)
START_TIMEOUT = 240  # seconds; 10 to 15 are normal
# Status and text of an address of the site, for who is not signed in.
ASK = """
import ssl, sys, urllib.error, urllib.request
trust = ssl.create_default_context(cafile="/etc/backendai/tls/trust.crt")
try:
    answer = urllib.request.urlopen(sys.argv[1], context=trust, timeout=60)
except urllib.error.HTTPError as refused:
    answer = refused
print(answer.status, answer.read().decode("utf-8", "replace"))
"""


@dataclass(frozen=True)
class Person:
    """Somebody with an account, at a shell and at a browser of the site's host."""

    site: SiteHost
    name: str
    email: str
    password: str

    def run(self, *words: str, timeout: float = 120) -> Result:
        """`backend.ai WORDS` as this person."""
        env = {
            "HOME": self.home,
            "BACKEND_ENDPOINT_TYPE": "session",
            "BACKEND_ENDPOINT": "https://localhost:8090",
        }
        call, login = ["backend.ai", *words], f"{self.email}\n{self.password}\n"
        return self.host.run(
            call, user=ACCOUNT, env=env, cwd=self.home, timeout=timeout, stdin=login
        )

    def client(self, *words: str, timeout: float = 120) -> str:
        """What `backend.ai WORDS` says; it must succeed."""
        done = self.run(*words, timeout=timeout)
        assert done.returncode == 0, done
        return done.stdout

    def items(self, *words: str) -> list[dict[str, Any]]:
        """The rows of a list."""
        rows = json.loads(self.client("--output=json", *words))["items"]
        return [dict(row) for row in rows]

    def sign_in(self) -> None:
        self.host.sh(
            f"id {ACCOUNT} >/dev/null 2>&1 || useradd {ACCOUNT}; install -d -o {ACCOUNT} {self.home}"
        )
        self.client("login")

    def browse(self, **order: Any) -> dict[str, Any]:
        """What a browser gets; see tests/hosts/inside/web_user.py."""
        login = {"email": self.email, "password": self.password}
        call = [PYTHON, f"{INSIDE}/web_user.py"]
        done = self.host.check(call, stdin=json.dumps({**login, **order}), timeout=300)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL query, asked as the web UI does."""
        posts = [["/func/admin/gql", {"query": query, "variables": variables}]]
        status, told = self.browse(posts=posts)["answers"][0]
        assert status == 200 and not told.get("errors"), told
        data: dict[str, Any] = told["data"]
        return data

    @contextmanager
    def session(
        self, name: str, *words: str, memory: str = "256m", image: str = IMAGE
    ) -> Iterator[str]:
        """A session of one core, until the block ends; its number."""
        size = ["-r", "cpu=1", "-r", f"mem={memory}", "--no-reuse"]
        self.client(
            "session", "create", image, "--name", name, *size, *words, timeout=START_TIMEOUT
        )
        session = ""
        try:
            (row,) = [row for row in self.items("session", "list") if row["name"] == name]
            session = str(row["session_id"])
            assert row["status"] == "RUNNING", row
            yield session
        finally:
            self.run("session", "destroy", "--forced", name)
            left = f"backendai-ctl docker ps -q --filter label=ai.backend.session-id={session}"
            self.host.sh(f'until [ -z "$({left})" ]; do sleep 1; done')

    @property
    def host(self) -> Host:
        """Another one after a reboot."""
        return self.site.host

    @property
    def home(self) -> str:
        return f"/srv/people/{self.name}"


@dataclass(frozen=True)
class People:
    """An administrator, and two who are none: ann's account is made by the client, ben's by the web UI."""

    admin: Person
    ann: Person
    ben: Person


def with_ssh(person: Person, script: str) -> Result:
    """Run a shell script where OpenSSH is: in an image of the bundle, on the host's own network."""
    words = ["--rm", "--network=host", "-v", f"{person.home}:/keys:ro", "--entrypoint=/bin/sh"]
    return person.host.run(["backendai-ctl", "docker", "run", *words, IMAGE, "-euc", script])


def invite(site: SiteHost) -> People:
    """Make the accounts, as an administrator does, and sign everybody in."""
    admin = Person(site, "admin", EMAIL, site.secret("admin-password"))
    ann, ben = (
        Person(site, name, f"{name}@example.org", f"{name}-Has-1-password")
        for name in ("ann", "ben")
    )
    admin.sign_in()
    admin.client("admin", "user", "add", "default", ann.email, ann.password, "-u", ann.name)
    by_web_ui(admin, ben)
    for person in (ann, ben):
        person.sign_in()
    return People(admin, ann, ben)


def by_web_ui(admin: Person, new: Person) -> None:
    """What the form sends: nobody touched the project that it has set, the model store."""
    found = admin.ask(PROJECTS, type=["GENERAL", "MODEL_STORE"])["groups"]
    preset = [project["id"] for project in found if project["type"] == "MODEL_STORE"]
    assert len(preset) == 1, found
    wanted = {
        "email": new.email,
        "username": new.name,
        "password": new.password,
        "domainName": "default",
        "needPasswordChange": False,
        "status": "ACTIVE",
        "role": "USER",
        "groupIds": preset,
        "resourcePolicy": "default",
        "totpActivated": False,
        "sudoSessionEnabled": False,
    }
    admin.ask(NEW_USER, input=wanted)


def visit(host: Host, url: str) -> tuple[int, str]:
    """Status and text of what a stranger at the host's own browser is shown."""
    status, _, text = host.check([PYTHON, "-I", "-c", ASK, url]).stdout.partition(" ")
    return int(status), text


def settings(host: Host) -> dict[str, Any]:
    """What the web UI is told before anybody signs in."""
    status, text = visit(host, "https://localhost:8090/config.toml")
    assert status == 200, text
    return tomllib.loads(text)


def inside(host: Host, session: str, program: str, *words: str, stay: bool = False) -> str:
    """Run a program of tests/hosts/inside in a session's container, as its user; what it prints.

    `stay`: leave it running there.
    """
    label = f"label=ai.backend.session-id={session}"
    (container,) = host.check(
        ["backendai-ctl", "docker", "ps", "-q", "--filter", label]
    ).stdout.split()
    user = host.sh("stat -c %u:%g /vfroot/volume1")
    text = (HERE / "inside" / program).read_text()
    call = ["backendai-ctl", "docker", "exec", "--user", user, *(["-d"] if stay else []), container]
    return host.check([*call, IMAGE_PYTHON, "-c", text, *words], timeout=180).stdout
