"""Promise: compute nodes pull the images of the bundle from the management node, and nobody else does."""

from __future__ import annotations

import json
from typing import Any

from host import Host, Result
from site_of_nodes import ADDRESSES, Site

REGISTRY = f"{ADDRESSES['mgmt']}:8140"
IMAGE = f"{REGISTRY}/stable/python:3.13-debian13"
LOGIN = "/run/login-of-test"  # where the command docker keeps it


def docker(host: Host, words: str, stdin: str = "") -> Result:
    return host.run(
        ["sh", "-c", f"backendai-ctl docker --config {LOGIN} {words}"], stdin=stdin, timeout=240
    )


def test_without_the_login_there_is_nothing(nodes: Site) -> None:
    refused = docker(nodes.hosts["compute1"], f"pull -q {IMAGE}")
    assert refused.returncode and "no basic auth credentials" in refused.stderr, refused


def test_with_it_an_image_is_pulled_by_tls_and_none_is_pushed(nodes: Site) -> None:
    """The site's authority vouches for the registry; no engine was told to go without."""
    host = nodes.hosts["compute1"]
    password = nodes.mgmt.sh("cat /etc/backendai/secrets/registry-password")
    done = docker(host, f"login -u backendai --password-stdin {REGISTRY}", stdin=password)
    assert done.returncode == 0, done
    pulled = docker(host, f"pull -q {IMAGE}")
    assert pulled.returncode == 0, pulled
    said = docker(host, f"run --rm --network none {IMAGE} python -V").stdout
    assert said.startswith("Python 3.13"), said
    pushed = docker(host, f"push {IMAGE}")
    assert pushed.returncode, pushed
    host.sh(f"rm -r {LOGIN}; backendai-ctl docker rmi {IMAGE} >/dev/null")


def told(nodes: Site, *words: str) -> Any:
    """What the management node's `backendai-ctl image WORDS --json` says."""
    return json.loads(
        nodes.mgmt.check(["backendai-ctl", "image", *words, "--json"], timeout=300).stdout
    )


def test_a_management_node_has_nodes_fetch_and_remove_them(nodes: Site) -> None:
    name, host = IMAGE.partition("/")[2], nodes.hosts["compute1"]
    done = told(nodes, "pull", "--node", "compute1", name)
    assert done["images"] == [{"node": "compute1", "image": IMAGE, "ok": True}]
    assert host.sh(f"backendai-ctl docker images -q {IMAGE}")
    told(nodes, "remove", name)
    assert told(nodes, "prune", "--node", "compute1")["images"] == [f"{IMAGE} on compute1"]
    assert host.sh(f"backendai-ctl docker images -q {IMAGE}") == ""
    folder = nodes.mgmt.sh("echo /var/lib/backendai/bundles/*/images")
    assert told(nodes, "load", folder, name)["pushed"] == [name]


def test_no_compute_node_has_the_login_on_its_disk(nodes: Site) -> None:
    """The manager gives it with each order to pull."""
    password = nodes.mgmt.sh("cat /etc/backendai/secrets/registry-password")
    found = nodes.hosts["compute1"].sh(f"grep -rl -- {password} /etc/backendai /etc/docker || :")
    assert found == ""
