"""What backendai-ctl works with on a host is complete and is what the release and its BUILD files say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from unpacked import Unpacked

SHARE = "usr/share/backendai"
UNITS = "usr/lib/systemd/system"


@pytest.fixture(scope="session")
def share(unpacked: Unpacked) -> Path:
    return unpacked.root / SHARE


@pytest.fixture(scope="session")
def described(share: Path) -> list[dict[str, Any]]:
    """Facts of every component and server."""
    paths = (path for kind in ("components", "servers") for path in (share / kind).glob("*.json"))
    return [json.loads(path.read_text("utf-8")) for path in paths]


def test_the_release_is_described_as_its_table_does(
    share: Path, release: Mapping[str, Any]
) -> None:
    facts = json.loads((share / "release.json").read_text("utf-8"))
    assert facts["paths"] == release["paths"]
    assert facts["user"] == release["user"]
    assert facts["full_version"] == f"{facts['version']}-{release['release']['revision']}"


def test_every_unit_of_a_component_or_server_is_described_and_has_its_templates(
    unpacked: Unpacked, share: Path, described: list[dict[str, Any]]
) -> None:
    units = {path.name for path in (unpacked.root / UNITS).glob("backendai-*.service")}
    others = (
        "reconfigure",
        "upkeep",
        "tls-proxy",
        "containerd",
    )  # of ctl, and of the container engine
    beside = {f"backendai-{name}.service" for name in others}
    assert {facts["unit"] for facts in described} == units - beside
    templates = {path.name for path in (share / "templates").iterdir()}
    made = {name for facts in described for name in facts.get("templates", [facts["config"]])}
    assert templates == {f"{name}.j2" for name in made}


def test_units_get_the_files_that_are_described(
    unpacked: Unpacked, described: list[dict[str, Any]]
) -> None:
    for facts in described:
        text = (unpacked.root / UNITS / facts["unit"]).read_text("utf-8")
        if facts["name"] == "docker":  # it reads its file itself, and says when it is ready
            assert f" --config-file /etc/backendai/{facts['config']} " in text
            assert "Type=notify\n" in text and "backendai_serve" not in text
            continue
        given = re.findall(r"^LoadCredential=\S+:/etc/backendai/(.+)$", text, re.MULTILINE)
        assert sorted(given) == sorted([facts["config"], *facts["credentials"]])
        health = facts["health"].format(**facts["ports"])
        assert f"--health {health} -- " in text


def test_initial_data_is_that_of_the_release(share: Path) -> None:
    assert (share / "fixtures/example-users.json").is_file()
    assert len(list((share / "fixtures").glob("*.json"))) > 10
    assert {path.name for path in (share / "dashboards").iterdir()} == {
        "dashboard.json",
        "dev-health.json",
    }


def test_every_role_says_what_it_is_for(share: Path) -> None:
    roles = {path.name for path in (share / "roles").iterdir()}
    assert roles == {"all-in-one", "management-node", "edge-node", "compute-node", "storage-node"}
    known = json.loads((share / "roles.json").read_text("utf-8"))["roles"]
    assert {role["package"] for role in known} == {f"backendai-{name}" for name in roles}
