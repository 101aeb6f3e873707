"""Promise: a stranger, a session and an account of the host get nothing that is not theirs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

import people as everybody
import pytest
from host import Host
from own_servers import etcdctl, valkey
from people import People
from scenario import INSIDE, VENV_PYTHON
from sealed import ADDRESS
from site_host import SiteHost

from backendai_serve.cache import LOGINS

APP_PORT = 9000
NFS = 2049
METADATA = 40128  # for containers
KERNEL = ("2000", "2001")  # a session's own: code goes in, and what it prints comes out
STRANGER = "stranger"  # an account of the host
# Asks the coordinator for a way to a port of the site's own host, as its manager asks for apps.
ASK = """
import json, ssl, sys, urllib.error, urllib.request, uuid
number = str(uuid.uuid4())
session = {"id": number, "user_uuid": number, "project_id": number, "access_key": "AKIA",
           "domain_name": "default"}
body = {"login_session_token": None, "kernel_host": "127.0.0.1", "kernel_port": 8081, "session": session}
asked = urllib.request.Request(sys.argv[1], json.dumps(body).encode(),
                               {"Content-Type": "application/json"}, method="POST")
trust = ssl.create_default_context(cafile="/etc/backendai/tls/trust.crt")
try:
    print(urllib.request.urlopen(asked, context=trust, timeout=30).status)
except urllib.error.HTTPError as refused:
    print(refused.code)
"""
TOKEN = """
query ($a: _Any!) {
  _entities(representations: [$a]) { ... on ScalingGroupNode { wsproxy_addr wsproxy_api_token } }
}
"""


@pytest.fixture(scope="module")
def session(people: People) -> Iterator[str]:
    """A session of Ann's, with an app that shows what it is sent."""
    with people.ann.session("ann-shows", "--preopen", str(APP_PORT)) as running:
        host = people.ann.host
        everybody.inside(host, running, "echo.py", str(APP_PORT), stay=True)
        yield running


def test_a_session_reaches_no_other_session(people: People, session: str) -> None:
    """Neither an app, nor where a session's kernel takes code from, which asks nobody who he is."""
    host, label = people.ann.host, f"label=ai.backend.session-id={session}"
    docker = "backendai-ctl docker"
    shown = host.sh(f"{docker} inspect $({docker} ps -q --filter {label})")
    (address,) = [
        one["IPAddress"] for one in json.loads(shown)[0]["NetworkSettings"]["Networks"].values()
    ]
    code = (
        "import socket, sys\n"
        "for port in sys.argv[2:]:\n"
        "    try: socket.create_connection((sys.argv[1], int(port)), 5); print(port)\n"
        "    except OSError: pass\n"
    )
    call = [
        "backendai-ctl",
        "docker",
        "run",
        "--rm",
        everybody.IMAGE,
        everybody.IMAGE_PYTHON,
        "-c",
        code,
    ]
    doors = [str(APP_PORT), *KERNEL]
    assert host.check([*call, address, *doors]).stdout.split() == []
    # They are open: the host, by which the agent and the app proxy come, is let in.
    assert host.check([VENV_PYTHON, "-I", "-c", code, address, *doors]).stdout.split() == doors


def test_a_stranger_gets_no_way_through_the_app_proxy(allinone: SiteHost) -> None:
    asked = [VENV_PYTHON, "-I", "-c", ASK, "https://localhost:10200/v2/conf"]
    assert allinone.host.check(asked).stdout.strip() == "401"


def test_no_user_is_told_what_lets_the_manager_in(people: People) -> None:
    """With the coordinator's token anybody would get a way to any server."""
    group = base64.b64encode(b"ScalingGroupNode:default").decode()
    asked = {"query": TOKEN, "variables": {"a": {"__typename": "ScalingGroupNode", "id": group}}}
    status, said = people.ann.browse(posts=[["/func/admin/graphql", asked]])["answers"][0]
    assert status == 200 and "https://" in json.dumps(said), said  # its address: it was found
    token = people.ann.host.check(["cat", "/etc/backendai/secrets/appproxy-api"]).stdout.strip()
    assert token and token not in json.dumps(said)


def test_who_signed_in_is_not_among_what_services_share(people: People) -> None:
    host = people.ann.host
    kept = [
        valkey(host, f"-n {number} --scan --pattern 'AIOHTTP_SESSION*'") for number in range(16)
    ]
    assert [number for number, found in enumerate(kept) if found] == [LOGINS]


def test_services_log_in_again_where_the_users_of_etcd_change(people: People) -> None:
    """As when a node joins, or is shut out: etcd refuses every token that it gave before."""
    host = people.ann.host

    def manager() -> str:
        """What the manager reads in etcd; the client prints it as an error."""
        return people.admin.run("admin", "etcd", "get", "config/redis/addr").stderr

    assert ":8110" in manager()
    etcdctl(host, "user add somebody:else")
    try:
        assert ":8110" in manager()
    finally:
        etcdctl(host, "user delete somebody")


def test_its_owner_opens_the_terminal_of_a_session(people: People, session: str) -> None:
    """By the manager, which asks the app proxy for a way."""
    visits = people.ann.browse(app=[session, "ttyd", None])["visits"]
    assert all("ttyd" in text for _, text in visits)


def test_another_user_opens_nothing_of_it(people: People, session: str) -> None:
    start = {"app": "ttyd", "port": None, "login_session_token": None}
    posts = [[f"/func/session/{session}/start-service", start]]
    status, said = people.ben.browse(posts=posts)["answers"][0]
    assert status in (403, 404), said


def test_the_web_login_does_not_reach_the_app_of_a_session(people: People, session: str) -> None:
    told = people.ann.browse(app=[session, str(APP_PORT), APP_PORT])
    logins = [value for name, value in told["before"].items() if name == "AIOHTTP_SESSION"]
    assert len(logins) == 1
    for _, text in told["visits"]:
        headers = json.loads(text)
        assert headers and logins[0] not in text
        cookies = [value for name, value in headers if name == "cookie"]
        assert "AIOHTTP_SESSION" not in "".join(cookies)


def test_the_app_of_a_session_sets_no_web_login(people: People, session: str) -> None:
    told = people.ann.browse(app=[session, str(APP_PORT), APP_PORT])
    assert told["cookies"]["AIOHTTP_SESSION"] == told["before"]["AIOHTTP_SESSION"]
    assert told["cookies"]["mine"] == "kept"  # its own cookies are its own business


@contextmanager
def listening(host: Host, port: int) -> Iterator[None]:
    """A server on every address of the host, as an administrator's own may be."""
    unit = "test-server.service"
    serve = [VENV_PYTHON, "-I", "-m", "http.server", str(port), "-d", "/var/empty"]
    host.check(["mkdir", "-p", "/var/empty"])
    host.check(["systemd-run", "--quiet", f"--unit={unit}", "--", *serve])
    try:
        host.sh(f"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.2; done")
        yield
    finally:
        host.check(["systemctl", "stop", unit])


def test_a_session_reaches_no_server_of_its_host(allinone: SiteHost, session: str) -> None:
    """By no address that the host has; what is meant for containers answers."""
    host = allinone.host
    bridge = host.sh(
        "backendai-ctl docker network inspect bridge -f '{{(index .IPAM.Config 0).Gateway}}'"
    )
    meant = f"{bridge}:{METADATA}"
    with listening(host, NFS):
        closed = [f"{address}:{NFS}" for address in (bridge, ADDRESS)]
        assert everybody.inside(host, session, "reach.py", meant, *closed).split() == [meant]


def test_an_account_of_the_host_gives_the_agent_no_orders(allinone: SiteHost) -> None:
    """Neither an answer, nor code of the caller's that the agent would run as it reads the message."""
    host = allinone.host
    host.sh(f"id {STRANGER} >/dev/null 2>&1 || useradd --create-home {STRANGER}")
    order = [VENV_PYTHON, "-I", f"{INSIDE}/call_agent.py", "127.0.0.1", "6001", "/tmp/ordered"]
    assert host.check(order, user=STRANGER).stdout.strip() in ("", "refused")
    assert (
        host.sh("find / -xdev -name ordered -path '*/tmp/*' -print; find /tmp -name ordered") == ""
    )
    assert host.check(["systemctl", "is-active", "backendai-agent"]).stdout.strip() == "active"
