"""The first rows are the examples' shape with this site's names and secrets."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.database import seed
from backendai_ctl.errors import Problem

ADMIN, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
EXAMPLES: seed.Seed = {
    "domains": [{"id": "dom", "name": "default", "allowed_docker_registries": ["cr.example"]}],
    "scaling_groups": [{"id": "sg", "name": "default", "wsproxy_api_token": "well-known"}],
    "users": [
        {"uuid": ADMIN, "role": "superadmin", "password": "well-known", "email": "a@example.com"},
        {"uuid": OTHER, "role": "user", "password": "well-known", "email": "b@example.com"},
    ],
    "groups": [
        {"id": "g1", "name": "default", "type": "general", "creator_id": OTHER},
        {"id": "g2", "name": "a", "type": "personal", "creator_id": ADMIN},
        {"id": "g3", "name": "b", "type": "personal", "creator_id": OTHER},
    ],
    "virtual_entities": [
        {"id": "v1", "entity_id": ADMIN},
        {"id": "v2", "entity_id": OTHER},
        {"id": "v3", "entity_id": "g3"},
    ],
    "entity_memberships": [
        {"id": "m1", "virtual_entity_id": "v1", "member_entity_id": "v1"},
        {"id": "m2", "virtual_entity_id": "v1", "member_entity_id": "v3"},
    ],
    "entity_membership_caps": [{"membership_id": "m1"}, {"membership_id": "m2"}],
    "keypair_resource_policies": [{"name": "default"}],
    "keypairs": [
        {"access_key": "AKIAEXAMPLE", "secret_key": "well-known", "user": ADMIN},
        {"access_key": "AKIAEXAMPLE2", "secret_key": "well-known", "user": OTHER},
    ],
    "resource_presets": [{"name": "small"}, {"name": "large", "shared_memory": "1073741824"}],
    "retention_policies": [{"category": "logs", "enabled": False}],
    "runtime_variants": [
        {
            "name": name,
            "default_model_definition": {
                "models": [{"service": {"port": 8080, "health_check": check}}]
            },
        }
        for name, check in (
            ("llama-cpp", {"path": "/health", "initial_delay": 60.0}),
            ("custom", {"path": "/health", "enable": False}),
        )
    ],
}
WANTED = seed.Wanted(
    email="root@site.test",
    username="root",
    password="pass-word",
    secret_key="secret-key",
    group="gpu",
    hosts=("local:one", "local:two"),
    proxy_address="https://127.0.0.1:10200",
    proxy_token="proxy-token",
    registries=({"id": "r", "registry_name": "127.0.0.1:8140", "project": "stable"},),
)


@pytest.fixture
def derived() -> seed.Seed:
    return seed.derive(EXAMPLES, WANTED)


def test_rows_of_what_is_over_are_deleted_after_their_time(derived: seed.Seed) -> None:
    assert derived["retention_policies"] == [{"category": "logs", "enabled": True}]
    llama, custom = (
        row["default_model_definition"]["models"][0]["service"]["health_check"]
        for row in derived["runtime_variants"]
    )
    assert llama == {"path": "/health", "enable": True, "initial_delay": 1800.0}
    assert custom == {"path": "/health", "enable": False}


def test_nothing_of_the_example_accounts_is_left(derived: seed.Seed) -> None:
    text = json.dumps(derived)
    for word in ("well-known", "AKIAEXAMPLE", "@example.com", OTHER, "cr.example"):
        assert word not in text


def test_rows_that_refer_to_what_is_gone_are_gone_however_far(derived: seed.Seed) -> None:
    assert [row["id"] for row in derived["groups"]] == ["g1", "g2"]
    assert [row["id"] for row in derived["virtual_entities"]] == ["v1"]
    assert [row["id"] for row in derived["entity_memberships"]] == ["m1"]
    assert derived["entity_membership_caps"] == [{"membership_id": "m1"}]


def test_the_administrator_is_the_sites(derived: seed.Seed) -> None:
    [user], [key] = derived["users"], derived["keypairs"]
    assert (user["email"], user["username"], user["password"]) == (
        "root@site.test",
        "root",
        "pass-word",
    )
    assert key["secret_key"] == "secret-key"
    assert re.fullmatch("AKIA[A-Z2-7]{16}", key["access_key"])
    assert {row["creator_id"] for row in derived["groups"]} == {ADMIN}


def test_the_access_key_is_the_same_on_every_run_and_another_for_every_secret() -> None:
    again = seed.derive(EXAMPLES, WANTED)["keypairs"]
    assert again == seed.derive(EXAMPLES, WANTED)["keypairs"]
    other = seed.Wanted(**{**WANTED.__dict__, "secret_key": "another"})
    assert other.access_key != WANTED.access_key


def test_every_volume_may_be_used(derived: seed.Seed) -> None:
    for table in ("domains", "groups", "keypair_resource_policies"):
        for row in derived[table]:
            assert list(row["allowed_vfolder_hosts"]) == ["local:one", "local:two"]


def test_the_scaling_group_leads_to_the_app_proxy(derived: seed.Seed) -> None:
    [group] = derived["scaling_groups"]
    assert group["name"] == "gpu"
    assert group["wsproxy_addr"] == "https://127.0.0.1:10200"
    assert group["wsproxy_api_token"] == "proxy-token"


def test_upstreams_text_for_a_number_is_mended(derived: seed.Seed) -> None:
    assert derived["resource_presets"][1]["shared_memory"] == 1 << 30


def test_the_sites_registry_is_there_and_permitted(derived: seed.Seed) -> None:
    [row] = derived["container_registries"]
    assert row == WANTED.registries[0]
    assert derived["domains"][0]["allowed_docker_registries"] == [row["registry_name"]]


@pytest.mark.parametrize("table", ["users", "keypairs"])
def test_examples_of_another_kind_are_refused(table: str) -> None:
    changed = copy.deepcopy(EXAMPLES)
    del changed[table][0]
    with pytest.raises(Problem, match=r"not (one|exactly one)"):
        seed.derive(changed, WANTED)


def test_the_examples_stay_as_they_were() -> None:
    before = copy.deepcopy(EXAMPLES)
    seed.derive(EXAMPLES, WANTED)
    assert before == EXAMPLES


def test_files_are_read_in_the_order_of_references(tmp_path: Path) -> None:
    for name in seed.FILES:
        rows: dict[str, Any] = {"__mode": "insert", name: [{"x": 1}]}
        (tmp_path / f"example-{name}.json").write_text(json.dumps(rows))
    assert tuple(seed.read(tmp_path)) == seed.FILES
    (tmp_path / "example-users.json").unlink()
    with pytest.raises(Problem, match=r"example-users\.json"):
        seed.read(tmp_path)
