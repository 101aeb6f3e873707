"""Four hosts become one site: management, storage, and two that compute; then users are served.

The tests follow each other: a site that grows is what an operator has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import browser
import own_servers
import pytest
from host import Host
from own_servers import ETCDCTL
from scenario import EMAIL, VENV_PYTHON, changed, ctl
from site_of_nodes import (
    ADDRESSES,
    CLIENT,
    FILE,
    NETWORK,
    PASSPHRASE,
    PATH,
    SECRETS,
    VOLUME,
    Site,
    join,
    listening,
)
from switch import LINK

FOLDER = "shared"
STRANGER = "10.77.0.99"  # in the networks of users, and no node
RULES = "/etc/backendai/firewall.nft"
ETCD = 8120
LOGIN = "/etc/backendai/secrets/etcd-agent"
# Ports by which nodes tell the management node what they measure.
FIGURES = {
    "storage1": (16023, 8131),
    "compute1": (6003, 8131),
    "compute2": (6003, 8131),
}
UP = (
    "import urllib.request as r;"
    " print(r.urlopen('http://127.0.0.1:8130/api/v1/query?query=up').read().decode())"
)
FOR_NODES = 30000  # apps in containers: the rules leave it to nodes, no unit filters it
# Connect to a port of an address from another address; nobody need listen.
KNOCK = """
import socket, sys
address, port, source = sys.argv[1:]
try:
    socket.create_connection((address, int(port)), 5, (source, 0)).close()
    print("accepted")
except ConnectionRefusedError:
    print("accepted")
except TimeoutError:
    print("dropped")
"""
# The status of each [path, port, body, token] that is asked of the app proxy at an address.
PROXY = """
import json, ssl, sys, urllib.error, urllib.request
context = ssl._create_unverified_context()
for path, port, body, token in json.loads(sys.argv[2]):
    headers = {"Content-Type": "application/json", **({"X-BackendAI-Token": token} if token else {})}
    data = json.dumps(body).encode() if body else None
    asked = urllib.request.Request(f"https://{sys.argv[1]}:{port}{path}", data, headers)
    try:
        print(urllib.request.urlopen(asked, context=context, timeout=30).status)
    except urllib.error.HTTPError as refused:
        print(refused.code)
"""
NUMBER = "00000000-0000-0000-0000-000000000001"
WAY = {  # to etcd
    "login_session_token": None,
    "kernel_host": "127.0.0.1",
    "kernel_port": ETCD,
    "session": {
        "id": NUMBER,
        "user_uuid": NUMBER,
        "group_id": NUMBER,
        "access_key": "AKIA",
        "domain_name": "default",
    },
}
# All that a run could write; not what etcd's services report of themselves.
FILES = """
find /etc/backendai /etc/systemd/system /etc/default /vfroot \
    /var/lib/backendai/ctl -printf '%p %T@ %C@ %m %u\\n' 2>/dev/null | sort
"""
REVISIONS = """
from backendai_ctl import facts
from backendai_ctl.etcd import access
from backendai_ctl.topology import here
from backendai_ctl.validation.load import load
known = facts.load()
ctx = here.context(known, load(known.paths.site_file, known))
for prefix in access.prefixes(ctx):
    for key, entry in access.connect(ctx).prefix(prefix).items():
        if "/nodes/" not in key:
            print(key, entry.revision)
"""


def client(site: Site, *words: str, stdin: str = "", cwd: str = "") -> str:
    """What the client on the management node says; it must succeed."""
    done = site.client(*words, stdin=stdin, cwd=cwd)
    assert done.returncode == 0, done
    return done.stdout


def test_the_management_node_is_set_up_by_its_packages(nodes: Site) -> None:
    assert "this host is configured" in nodes.installations["mgmt"].stdout
    nodes.healthy("mgmt")


def test_a_node_that_has_not_joined_makes_nothing(nodes: Site) -> None:
    for name in ("storage1", "compute1", "compute2"):
        assert "backendai-ctl node join FILE" in nodes.installations[name].stdout
        assert nodes.hosts[name].sh(SECRETS) == ""
    rows = ctl(nodes.mgmt, "node", "list")["nodes"]
    said = [(row["ok"], row["message"]) for row in rows]
    assert said == [(True, ""), *[(False, "has not joined")] * 3]


def test_what_does_not_fit_is_refused_and_nothing_is_written(nodes: Site) -> None:
    host = nodes.carry("compute1")
    passphrase = host.sh(f"cat {PASSPHRASE}")
    host.write(PASSPHRASE, "something-else\n")
    refused = join(host)
    assert refused.returncode == 2 and "the passphrase is not this file's" in refused.stderr
    host.write(PASSPHRASE, f"{passphrase}\n")
    host.sh(f"sed -i '2s/compute1/compute2/' {FILE}")
    refused = join(host)
    assert refused.returncode == 2 and "was changed" in refused.stderr
    refused = join(nodes.carry("compute1", to="compute2"))
    assert refused.returncode == 2 and "the file is for 'compute1'" in refused.stderr
    for name in ("compute1", "compute2"):
        assert nodes.hosts[name].sh("ls -A /etc/backendai/site.toml 2>/dev/null || :") == ""
        assert nodes.hosts[name].sh(SECRETS) == ""
    elsewhere = nodes.mgmt.run(["backendai-ctl", "node", "export", "mgmt"])
    assert elsewhere.returncode == 2 and "which has everything" in elsewhere.stderr


def test_a_compute_node_joins_and_its_agent_is_alive(nodes: Site) -> None:
    host = nodes.carry("compute1")
    before = join(host, "--dry-run")
    assert before.returncode == 0 and "site.toml: write it" in before.stdout
    assert host.sh(SECRETS) == ""
    nodes.join("storage1", "compute1", "compute2")
    assert host.sh(SECRETS).split() == ["cache-password", "etcd-agent"]
    assert host.run(["test", "-e", "/etc/backendai/tls/ca.key"]).returncode != 0
    agent = nodes.agent("compute1")
    assert agent["addr"] == f"tcp://{ADDRESSES['compute1']}:6001"
    assert agent["public_key"], "its RPC is encrypted and for the manager alone"
    groups = nodes.sql("SELECT name, wsproxy_addr FROM scaling_groups ORDER BY name")
    proxy = f"https://{ADDRESSES['mgmt']}:10200"
    assert groups == [{"name": n, "wsproxy_addr": proxy} for n in ("default", "gpu")]
    nodes.agent("compute2")
    nodes.healthy()


def test_a_node_writes_in_etcd_of_itself_alone(nodes: Site) -> None:
    """By all that lies on its disk: who has taken one over is not on the way to the others."""
    logins = {
        name: f"ETCDCTL_USER=backendai-agent@{name} ETCDCTL_PASSWORD={nodes.hosts[name].sh('cat ' + LOGIN)}"
        for name in ("compute1", "compute2")
    }

    def said(login: str, words: str) -> str:
        done = nodes.mgmt.run(["/bin/sh", "-c", f"{login} {ETCDCTL} {words}"])
        return done.stdout + done.stderr

    mine, other = (f"/sorna/local/nodes/agents/i-{name}/ip" for name in logins)
    assert ADDRESSES["compute1"] in said(logins["compute1"], f"get {mine}"), "it told so itself"
    assert "OK" in said(logins["compute1"], f"put {mine} {ADDRESSES['compute1']}")
    for words in (f"put {other} 10.77.0.99", f"get {other}", "put /sorna/local/config/x 1"):
        assert "permission denied" in said(logins["compute1"], words)
    crossed = logins["compute1"].replace("@compute1", "@compute2")
    assert "authentication failed" in said(crossed, f"get {other}")


def test_another_run_changes_nothing_anywhere(nodes: Site) -> None:
    def state() -> dict[str, object]:
        units = ("backendai-[!n]*.service", "backendai-nft.service")
        files = {name: host.sh(FILES) for name, host in nodes.hosts.items()}
        started = {name: host.starts(*units) for name, host in nodes.hosts.items()}
        code = ["/opt/backendai/current/bin/python", "-I", "-c", REVISIONS]
        return {"files": files, "started": started, "etcd": nodes.mgmt.check(code).stdout}

    before = state()
    assert before["etcd"]
    for name in ("storage1", "compute1", "compute2"):
        again = ctl(nodes.hosts[name], "node", "join", FILE, "--passphrase-file", PASSPHRASE)
        assert again["changes"] == []
    for host in nodes.hosts.values():
        assert changed(host) == []
    assert state() == before


def test_the_app_proxy_tells_its_state_to_its_host_and_the_manager(nodes: Site) -> None:
    """And gives ways to apps to the manager alone."""
    token = nodes.mgmt.sh("cat /etc/backendai/secrets/appproxy-api")
    state = [("/health", 10200), ("/status", 10200), ("/", 10201), ("/status", 10202)]
    asked: list[tuple[str, int, object, str]] = [(*place, None, "") for place in state]
    asked += [("/v2/conf", 10200, WAY, shown) for shown in ("", "guessed")]
    asked += [("/status", 10200, None, token)]

    def ask(host: Host) -> list[int]:
        call = [VENV_PYTHON, "-I", "-c", PROXY, ADDRESSES["mgmt"], json.dumps(asked)]
        return [int(status) for status in host.check(call).stdout.split()]

    for host, status in ((nodes.hosts["compute1"], 403), (nodes.mgmt, 200)):
        assert ask(host) == [*[status] * len(state), 401, 401, 200]


def test_the_client_sees_both_agents_alive(nodes: Site) -> None:
    password = nodes.mgmt.sh("cat /etc/backendai/secrets/admin-password")
    client(nodes, "login", stdin=f"{EMAIL}\n{password}\n")
    said = json.loads(client(nodes, "--output=json", "admin", "agent", "list"))
    states = {row["id"]: row["status"] for row in said["items"]}
    assert states == {"i-compute1": "ALIVE", "i-compute2": "ALIVE"}


def test_the_web_ui_shows_both_agents_and_makes_a_folder(nodes: Site, screenshots: Path) -> None:
    seen = browser.visit(
        nodes.mgmt,
        url=CLIENT["BACKEND_ENDPOINT"],
        email=EMAIL,
        password=nodes.mgmt.sh("cat /etc/backendai/secrets/admin-password"),
        pages={"agents": "/agent", "data": "/data"},
        make_folder=FOLDER,
        folder=screenshots / "nodes",
        reach=tuple(ADDRESSES.values()),
    )
    for name in ("compute1", "compute2"):
        assert f"i-{name}" in seen.pages["agents"]["text"]
    assert FOLDER in seen.pages["folder"]["text"]


def test_a_person_computes_on_every_node(nodes: Site) -> None:
    """With files of the storage node, in sessions that the management node's app proxies lead to."""
    said = ctl(nodes.mgmt, "accept", timeout=600)
    rows = said["outcomes"]
    assert [row["group"] for row in rows if row["level"] != "ok"] == [
        "cluster default",
        "cluster gpu",
    ]
    assert {row["message"] for row in rows if row["level"] == "skip"} == {
        f"it takes 2 free cores, {node} has 1" for node in ("compute1", "compute2")
    }
    tried = {(row["group"], row["name"]) for row in rows}
    assert ("storage", f"local:{VOLUME}") in tried, tried
    for node in ("compute1", "compute2"):
        names = {name for group, name in tried if group == f"node {node}"}
        assert {"session", "files", "notebook", "ssh", "end"} <= names, tried


def test_the_folder_is_seen_by_storage_and_compute_nodes_with_the_right_ids(nodes: Site) -> None:
    nodes.mgmt.sh("mkdir -p /srv/up; echo of the site >/srv/up/file.txt")
    said = client(nodes, "vfolder", "upload", FOLDER, "file.txt", cwd="/srv/up")
    assert f"https://{ADDRESSES['storage1']}:6021/upload" in said
    find = f"find {PATH} -name file.txt -printf '%p %U:%G '  -exec cat '{{}}' ';'"
    seen = {nodes.hosts[name].sh(find) for name in ("storage1", "compute1", "compute2")}
    (only,) = seen
    assert only.endswith(" 1100:1100 of the site")
    assert nodes.mgmt.sh("find /vfroot -name file.txt 2>/dev/null || :") == ""
    for name in ("compute1", "compute2"):
        assert f"{ADDRESSES['storage1']}:{PATH}" in nodes.hosts[name].sh("cat /run/mount.nfs.calls")


def test_only_what_nodes_need_leaves_loopback(nodes: Site) -> None:
    seen = {name: listening(host) for name, host in nodes.hosts.items()}
    mgmt = ADDRESSES["mgmt"]
    assert {address for address, _ in seen["mgmt"]} == {mgmt}
    assert {(mgmt, port) for port in (8110, 8120, 8090, 10200)} <= seen["mgmt"]
    inside = {8100, 8121, 8081, 6021, 6022, 4000, 8130, 8131}
    assert not {port for _, port in seen["mgmt"]} & inside
    stand_in = {(address, port) for address, port in seen["storage1"] if address == "*"}
    assert 2049 in {port for _, port in stand_in}  # the rest is ganesha's, not of the kernel's NFS
    storage = {(ADDRESSES["storage1"], port) for port in (6021, 6022, *FIGURES["storage1"])}
    assert storage == seen["storage1"] - stand_in
    for name in ("compute1", "compute2"):
        beyond = {(a, p) for a, p in seen[name] if a != "172.17.0.1"}
        assert beyond == {(ADDRESSES[name], port) for port in (6001, *FIGURES[name])}


def test_the_management_node_hears_the_figures_of_every_node(nodes: Site) -> None:
    wanted = {f"{ADDRESSES[name]}:{port}" for name, ports in FIGURES.items() for port in ports}

    def up() -> dict[str, str]:
        said = nodes.mgmt.check([VENV_PYTHON, "-I", "-c", UP]).stdout
        rows = json.loads(said)["data"]["result"]
        return {row["metric"]["instance"]: row["value"][1] for row in rows}

    until = time.monotonic() + 90
    while not (set(found := up()) > wanted and set(found.values()) == {"1"}):
        assert time.monotonic() < until, found
        time.sleep(3)
    # Its own services by loopback, or where users reach them; no other node runs a Prometheus.
    own = {place for place in found if place not in wanted}
    assert {place.partition(":")[0] for place in own} == {"127.0.0.1", ADDRESSES["mgmt"]}
    assert len(own) == 7, own
    for name in FIGURES:
        unit = "backendai-prometheus.service"
        assert nodes.hosts[name].run(["systemctl", "cat", unit]).returncode, name


def test_servers_answer_the_nodes_and_nobody_else(nodes: Site) -> None:
    """Their units have no word with any other address than those of nodes."""
    for name in ("valkey", "etcd"):
        shown = nodes.mgmt.sh(f"systemctl show {own_servers.UNITS[name]} -p IPAddressAllow --value")
        allowed = set(shown.split())
        assert {f"{ADDRESSES[node]}/32" for node in nodes.hosts} <= allowed
        assert not [a for a in allowed if not a.startswith(("127.", "::1", "10.77.0."))], allowed
        assert NETWORK not in allowed  # users are there
    shown = nodes.mgmt.sh("systemctl show backendai-postgresql -p IPAddressAllow --value")
    assert set(shown.split()) == {"127.0.0.0/8", "::1/128"}, "no other node has a database's user"


def test_rules_for_the_firewall_name_the_nodes(nodes: Site) -> None:
    text = nodes.hosts["compute1"].check(["backendai-ctl", "node", "firewall"]).stdout
    assert "tcp dport { 6001, 6003, 8131, 30000-31000 } drop" in text
    assert ADDRESSES["mgmt"] in text


def test_sessions_are_kept_from_the_nodes_without_being_asked(nodes: Site) -> None:
    for name in ("compute1", "compute2"):
        rules = nodes.hosts[name].sh(f"{own_servers.NFT} list table inet backendai")
        assert "chain containers" in rules and "chain incoming" not in rules
        assert all(ADDRESSES[node] in rules for node in ("mgmt", "storage1"))


@pytest.fixture
def stranger(nodes: Site) -> Iterator[None]:
    """An address that the site file does not name, on a node; rules are gone afterwards."""
    host, address = nodes.hosts["compute1"], f"{STRANGER}/24"
    host.check(["ip", "address", "add", address, "dev", LINK])
    try:
        yield
    finally:
        nodes.mgmt.run(["backendai-ctl", "node", "firewall", "--remove"])
        host.check(["ip", "address", "del", address, "dev", LINK])


@pytest.mark.usefixtures("stranger")
def test_loaded_rules_let_in_nodes_alone_and_follow_the_site_file(nodes: Site) -> None:
    def knock(port: int = FOR_NODES) -> list[str]:
        call = [VENV_PYTHON, "-I", "-c", KNOCK, ADDRESSES["mgmt"], str(port)]
        sources = (ADDRESSES["compute1"], STRANGER)
        host = nodes.hosts["compute1"]
        return [host.check([*call, source]).stdout.strip() for source in sources]

    def step() -> str:
        said = ctl(nodes.mgmt, "reconfigure", "--only", "apply-firewall")
        return str(said["steps"]["apply-firewall"]["state"])

    firewall = ["backendai-ctl", "node", "firewall"]
    assert knock(ETCD) == ["accepted", "dropped"], "by its unit, without any rules"
    assert (knock(), step()) == (["accepted", "accepted"], "same")
    nodes.mgmt.check([*firewall, "--apply"])
    assert (knock(), step()) == (["accepted", "dropped"], "same")
    # As if they were of a site file that said something else.
    nodes.mgmt.sh(f"sed -i '/ drop$/d' {RULES}; systemctl reload backendai-nft")
    assert knock() == ["accepted", "accepted"]
    assert (step(), step()) == ("done", "same")
    assert knock() == ["accepted", "dropped"]
    nodes.mgmt.check([*firewall, "--remove"])
    assert (knock(), step()) == (["accepted", "accepted"], "same")
    assert "backendai" not in nodes.mgmt.sh(f"{own_servers.NFT} list tables")


def test_doctor_is_content_with_every_node(nodes: Site) -> None:
    for host in nodes.hosts.values():
        host.check(["backendai-ctl", "doctor"])
    rows = ctl(nodes.mgmt, "node", "list")["nodes"]
    assert {row["ok"] for row in rows} == {True}
    assert {row["firewall"] for row in rows} == {False}, "which is warned of"


def test_doctor_names_the_node_that_cannot_be_reached(nodes: Site) -> None:
    with nodes.switch.cut("storage1"):
        said = nodes.mgmt.run(["backendai-ctl", "doctor"])
    assert said.returncode == 1
    assert f"storage1 {ADDRESSES['storage1']}:6022 (storage-proxy, manager)" in said.stdout
    nodes.healthy("mgmt", "storage1")
