"""Promise: a registry of the site file is read by the manager, and pulled from by its authority."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from people import IMAGE, People
from site_host import SiteHost

from backendai_ctl.pki import tls

ADDRESS = "192.0.2.9"  # beyond loopback: neither Docker nor the manager's unit takes it unasked
HOST = f"{ADDRESS}:8443"
THEIRS = f"{HOST}/science/python:1"
FOLDER = "/srv/harbor"
UNIT = "harbor-of-test"
LOGIN = "/run/login-of-test"
SITE = f"""
[registries.harbor]
url = "https://{HOST}"
project = "science"
ca = "{FOLDER}/ca.crt"
username = "robot"
password_file = "{FOLDER}/password"
"""
CONFIG = {
    "version": 0.1,
    "storage": {"filesystem": {"rootdirectory": f"{FOLDER}/data"}},
    "http": {
        "addr": HOST,
        "tls": {"certificate": f"{FOLDER}/server.crt", "key": f"{FOLDER}/server.key"},
    },
    "auth": {"htpasswd": {"realm": "harbor", "path": f"{FOLDER}/logins"}},
}
# htpasswd -B: the password is "token".
LOGINS = "robot:$2b$04$x0MfOgoqsVrW1wcuANePHupjfYbBi5QvOr3sKyx3YPZ/drHvvmBx6\n"


@pytest.fixture(scope="module")
def site(people: People) -> Iterator[SiteHost]:
    """With a registry of somebody else on the host, which the site file names; taken back at the end."""
    made, host = people.admin.site, people.admin.host
    key, own = tls.new_key(), tls.new_key()
    authority = tls.authority(key, "harbor")
    files = {
        "ca.crt": authority.decode(),
        "server.crt": tls.issue(authority, key, own, [ADDRESS]).decode(),
        "server.key": own.decode(),
        "password": "token\n",
        "logins": LOGINS,
        "config.json": json.dumps(CONFIG),
    }
    for name, text in files.items():
        host.write(f"{FOLDER}/{name}", text)
    program = "/opt/backendai/servers/registry/bin/docker-registry"
    host.sh(
        f"chmod 600 {FOLDER}/*; ip address add {ADDRESS}/32 dev lo\n"
        f"systemd-run -q --unit {UNIT} {program} serve {FOLDER}/config.json"
    )
    with made.described(SITE):
        yield made
    host.sh(f"rm -rf {LOGIN}")
    host.sh(
        f"systemctl stop {UNIT}; ip address del {ADDRESS}/32 dev lo; rm -r {FOLDER}\n"
        f"backendai-ctl docker rmi {THEIRS} >/dev/null 2>&1 || :; rmdir /etc/docker"
    )


def docker(site: SiteHost, words: str, stdin: str = "") -> str:
    call = ["sh", "-c", f"backendai-ctl docker --config {LOGIN} {words}"]
    return site.host.check(call, stdin=stdin, timeout=240).stdout


def test_the_engine_trusts_it_by_its_own_authority(site: SiteHost) -> None:
    docker(site, f"login -u robot --password-stdin {HOST}", stdin="token")
    site.host.sh(f"backendai-ctl image pull {IMAGE} >/dev/null")
    docker(site, f"tag {IMAGE} {THEIRS}")
    docker(site, f"push -q {THEIRS}")
    docker(site, f"rmi {THEIRS}")


def test_the_manager_reads_it_when_an_administrator_asks(site: SiteHost, people: People) -> None:
    """Its unit reaches the address, and it alone trusts the authority."""
    people.admin.client("admin", "image", "rescan", "--registry", HOST)
    (done,) = site.ctl("image", "pull", THEIRS)["images"]
    assert done["ok"] and THEIRS in docker(site, "images --format '{{.Repository}}:{{.Tag}}'")
    assert site.ctl("image", "rescan")["registries"] == {HOST: 1}
    trusted = "grep -l /registries.crt /etc/systemd/system/backendai-*.service.d/site.conf"
    assert site.host.sh(trusted).split("/")[-2] == "backendai-manager.service.d"


def test_another_run_finds_nothing_to_do(site: SiteHost) -> None:
    assert site.host.sh("backendai-ctl reconfigure --dry-run") == "Nothing to do."


def test_a_session_has_an_image_of_it(site: SiteHost, people: People) -> None:
    size = ["-r", "cpu=1", "-r", "mem=256m"]
    said = people.ann.client("run", "-c", "print(6 * 7)", *size, "--rm", THEIRS, timeout=300)
    assert "42" in said.split(), said
