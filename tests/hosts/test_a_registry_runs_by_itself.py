"""Promise: whoever installs the registry has one, on loopback, that keeps images and lets go of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import stack as stacks
from host import Host

UNIT = "backendai-registry.service"
DATA = "/var/lib/backendai/registry"
LIMIT = 1.2  # of exposure, as of every service
# Uploads a layer and an image made of it, reads it, deletes it; says the status of each.
USE = """
import hashlib, http.client, json
server = http.client.HTTPConnection("127.0.0.1", 8140)
def ask(verb, path, body=None, **head):
    server.request(verb, path, body, {k.replace("_", "-"): v for k, v in head.items()})
    answer = server.getresponse()
    data = answer.read()
    print(verb, answer.status, flush=True)
    return answer, data
def upload(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    answer, _ = ask("POST", "/v2/a/b/blobs/uploads/")
    place = answer.getheader("Location").partition(":8140")[2]
    ask("PUT", f"{place}&digest={digest}", data, Content_Type="application/octet-stream")
    return {"digest": digest, "size": len(data)}
kind = "application/vnd.docker.distribution.manifest.v2+json"
image = {"schemaVersion": 2, "mediaType": kind}
image["config"] = {"mediaType": "application/vnd.docker.container.image.v1+json", **upload(b"{}")}
layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **upload(bytes(4096))}
text = json.dumps({**image, "layers": [layer]}).encode()
ask("PUT", "/v2/a/b/manifests/1", text, Content_Type=kind)
answer, data = ask("GET", "/v2/a/b/manifests/1", Accept=kind)
assert data == text
ask("DELETE", "/v2/a/b/manifests/" + answer.getheader("Docker-Content-Digest"))
ask("GET", "/v2/a/b/manifests/1", Accept=kind)
"""


@pytest.fixture(scope="module")
def here(stack: stacks.Stack) -> Iterator[Host]:
    with stack.boot(name="registry") as host:
        stacks.configure(host, ("create-user", "create-secrets", "serve-beside"))
        yield host


def test_it_is_well_and_another_run_finds_nothing_to_do(here: Host) -> None:
    assert here.sh(f"systemctl is-active {UNIT}") == "active"
    words = ["backendai-ctl", "reconfigure", "--only", "serve-beside", "--dry-run"]
    assert here.check(words).stdout.strip() == "Nothing to do."


def test_it_is_reached_by_loopback_alone(here: Host) -> None:
    assert here.sh("ss -Hltn 'sport = 8140' | awk '{print $4}'") == "127.0.0.1:8140"
    assert "8140" in here.sh("ss -Hltnp | grep docker-registry")
    assert len(here.sh("ss -Hltnp | grep docker-registry").splitlines()) == 1


def test_an_image_comes_and_goes(here: Host) -> None:
    said = here.check([stacks.PYTHON, "-I", "-c", USE]).stdout
    codes = [line.split()[1] for line in said.splitlines()]
    assert codes == ["202", "201", "202", "201", "201", "200", "202", "404"], said
    assert here.sh(f"stat -c '%U %a' {DATA}") == "backendai-registry 700"


def test_it_is_confined_as_every_service(here: Host) -> None:
    said = here.check(["systemd-analyze", "security", "--no-pager", UNIT]).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found and float(found[1]) <= LIMIT


def test_it_is_back_after_a_kill_with_what_it_keeps(here: Host) -> None:
    before = here.sh(f"find {DATA} -type f | sort")
    here.check(["systemctl", "kill", "--signal=KILL", UNIT])
    here.check(["systemctl", "start", UNIT], timeout=120)
    assert here.sh(f"find {DATA} -type f | sort") == before


def test_undone_nothing_but_its_data_is_left(here: Host) -> None:
    here.check(["backendai-ctl", "purge"], timeout=200)
    assert here.sh(f"systemctl is-active {UNIT} || :") == "inactive"
    assert here.sh("ls /etc/backendai") == "secrets"
    assert here.sh(f"ls {DATA}") == "docker"
