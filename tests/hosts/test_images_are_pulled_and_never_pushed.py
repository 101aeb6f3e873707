"""Promise: the images of the bundle are in the site's registry, to be pulled by who has its login.

Nobody pushes to it by a network: neither a stranger nor a node.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stack as stacks
from host import Host

import dist

UNIT = "backendai-registry.service"
DATA = "/var/lib/backendai/registry"
BUNDLES = "/var/lib/backendai/bundles"
STEPS = ("create-user", "create-secrets", "create-certificates", "push-images", "serve-beside")
IMAGE = "stable/python"
TAG = "3.13-debian13"
LIMIT = 1.2  # of exposure, as of every service
# Prints what each request of strangers and of nodes is answered; reads an image as an engine does.
ASK = """
import base64, hashlib, http.client, json
secret = open("/etc/backendai/secrets/registry-password").read().strip()
login = {"Authorization": "Basic " + base64.b64encode(b"backendai:" + secret.encode()).decode()}
kind = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
def ask(verb, path, **head):
    server = http.client.HTTPConnection("127.0.0.1", 8140)
    server.request(verb, path, headers={k: v for k, v in head.items()})
    answer = server.getresponse()
    return answer.status, answer.read()
manifest = "/v2/stable/python/manifests/3.13-debian13"
told = {"stranger": [ask(verb, path)[0] for verb, path in (
    ("GET", "/v2/"), ("GET", manifest), ("GET", "/v2/_catalog"), ("POST", "/v2/a/blobs/uploads/"),
)]}
told["node"] = [ask(verb, path, **login)[0] for verb, path in (
    ("GET", "/v2/"), ("POST", "/v2/a/blobs/uploads/"), ("PUT", manifest), ("DELETE", manifest),
)]
status, text = ask("GET", manifest, **login, **kind)
image = json.loads(text)
blobs = [image["config"], *image["layers"]]
told["whole"] = all(
    "sha256:" + hashlib.sha256(ask("GET", "/v2/stable/python/blobs/" + b["digest"], **login)[1]).hexdigest()
    == b["digest"] for b in blobs
)
told["digest"] = "sha256:" + hashlib.sha256(text).hexdigest()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout that the release has, in a folder that a test may damage."""
    made = dist.folder(request.config) / "images"
    if not (made / "index.json").exists():
        dist.unavailable("dist/images is missing: ./pants package //:images")
    folder = tmp_path_factory.mktemp("images")
    shutil.copytree(made, folder / "images")
    return folder / "images"


@pytest.fixture(scope="module")
def here(stack: stacks.Stack, images: Path) -> Iterator[Host]:
    with stack.boot(name="registry", binds={images: "/srv/images"}) as host:
        version = host.sh("dpkg-query -W -f '${Version}' backendai-ctl")
        folder = f"{BUNDLES}/backendai-{version}-linux-amd64"
        host.sh(f"mkdir -p {folder}; ln -s /srv/images {folder}/images")
        stacks.configure(host, STEPS)
        yield host


def row_of(images: Path) -> dict[str, Any]:
    """What the index of the layout says of IMAGE."""
    rows = json.loads((images / "index.json").read_text())["manifests"]
    name = "org.opencontainers.image.ref.name"
    (row,) = [row for row in rows if row["annotations"][name] == f"{IMAGE}:{TAG}"]
    return dict(row)


def asked(host: Host) -> dict[str, object]:
    told: dict[str, object] = json.loads(host.check([stacks.PYTHON, "-I", "-c", ASK]).stdout)
    return told


def pushed(host: Host) -> str:
    """What another run of the step says while it works."""
    return host.check(["backendai-ctl", "reconfigure", "--only", "push-images"]).stderr


def test_they_are_there_for_who_has_the_login(here: Host, images: Path) -> None:
    told = asked(here)
    row = row_of(images)
    assert told["whole"] and told["digest"] == row["digest"], told


def test_nobody_pushes(here: Host) -> None:
    told = asked(here)
    assert told["stranger"] == [401] * 4
    assert isinstance(told["node"], list) and told["node"][0] == 200
    assert all(status >= 400 for status in told["node"][1:]), told


def test_another_run_finds_nothing_to_do(here: Host) -> None:
    words = [word for name in STEPS for word in ("--only", name)]
    said = here.check(["backendai-ctl", "reconfigure", *words, "--dry-run"]).stdout
    assert said.strip() == "Nothing to do."


def test_only_what_is_missing_is_sent(here: Host) -> None:
    here.sh(f"rm -r {DATA}/docker/registry/v2/repositories/{IMAGE}/_manifests/tags/{TAG}")
    assert "0 of 3 parts" in pushed(here)
    assert asked(here)["whole"]


def test_it_is_reached_by_loopback_alone(here: Host) -> None:
    assert here.sh("ss -Hltn 'sport = 8140' | awk '{print $4}'") == "127.0.0.1:8140"
    assert len(here.sh("ss -Hltnp | grep docker-registry").splitlines()) == 1
    assert here.sh("ls /run/backendai | grep registry- || :") == "", "what filled it is gone"


def test_it_is_confined_as_every_service(here: Host) -> None:
    said = here.check(["systemd-analyze", "security", "--no-pager", UNIT]).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found and float(found[1]) <= LIMIT
    assert here.sh(f"stat -c '%U %a' {DATA}") == "backendai-registry 700"


def test_it_is_back_after_a_kill_with_what_it_keeps(here: Host) -> None:
    before = here.sh(f"find {DATA} -type f | sort")
    here.check(["systemctl", "kill", "--signal=KILL", UNIT])
    here.check(["systemctl", "start", UNIT], timeout=120)
    assert here.sh(f"find {DATA} -type f | sort") == before


def test_a_damaged_image_is_refused(here: Host, images: Path) -> None:
    """A layer with one byte changed, and its size kept, is told by its name; the registry gets no image."""
    row = row_of(images)
    text = (images / "blobs" / row["digest"].replace(":", "/")).read_text()
    layer = images / "blobs" / json.loads(text)["layers"][0]["digest"].replace(":", "/")
    with layer.open("r+b") as stream:
        stream.seek(1000)
        stream.write(bytes([stream.read(1)[0] ^ 1]))
    here.sh(f"systemctl stop {UNIT}; rm -r {DATA}/docker; systemctl start {UNIT}")
    done = here.run(["backendai-ctl", "reconfigure", "--json", "--only", "push-images"])
    assert done.returncode == 1 and layer.name in done.stdout, done
    assert here.run(
        ["test", "-e", f"{DATA}/docker/registry/v2/repositories/{IMAGE}/_manifests/tags"]
    ).returncode


def test_undone_nothing_but_its_data_is_left(here: Host) -> None:
    here.check(["backendai-ctl", "purge"], timeout=200)
    assert here.sh(f"systemctl is-active {UNIT} || :") == "inactive"
    assert here.sh("ls /etc/backendai") == "secrets"
    assert here.sh(f"ls {DATA}") == "docker"
