"""Promises of what BUILD files declare: names are those of others, templates use what is declared."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from declared import PACKAGING, components, servers

from backendai_ctl.facts import EACH, NEAREST, Component, Facts

SERVICES = {**components(), **servers()}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_names_is_there(name: str) -> None:
    one = SERVICES[name]
    assert set(one.uses) <= set(servers())
    known = {f"{other.name}:{port}" for other in SERVICES.values() for port in other.ports}
    assert set(one.calls) <= known and set(one.calls.values()) <= {EACH, NEAREST}
    assert set(one.serves) <= set(one.ports) and set(one.serves.values()) <= {"users", "nodes"}
    assert one.resident or one.name in servers()


@pytest.mark.parametrize("name", sorted(components()))
def test_a_template_takes_what_its_component_declares_and_nothing_else(name: str) -> None:
    """A node without what is declared is not given it: a template that takes more does not render there."""
    one = components()[name]
    text = (PACKAGING / "components" / name / f"{one.config}.j2").read_text("utf-8")
    taken = set(re.findall(r'\bsecret\("([\w-]+)"\)', text))
    databases = set(re.findall(r'\bdatabase\("([\w-]+)"\)', text))
    # The manager's rows hold some of its secrets, not its file.
    assert taken <= set(one.secrets)
    assert databases == ({one.database.name} if one.database else set())
    assert "cache_password()" not in text or "valkey" in one.uses
    assert set(re.findall(r'\betcd_login\("([\w-]+)"\)', text)) == (
        {name} if one.etcd_keys else set()
    )
    assert bool(one.etcd_keys) == ("etcd" in one.uses)
    assert ("postgresql" in one.uses) == bool(databases)


def test_a_component_of_a_release_to_come_is_known_by_what_it_declares(facts: Facts) -> None:
    """No table here names it: who it calls, and what it holds, follow from its own facts."""
    new = Component(
        "newcomer",
        "New",
        "backendai-newcomer.service",
        "newcomer.toml",
        {"api": 9999},
        uses=("valkey",),
        calls={"manager:api": EACH, "webserver:http": NEAREST},
        serves={"api": "users"},
        secrets=("newcomer-key",),
    )
    known = replace(facts, components={**facts.components, "newcomer": new})
    assert "newcomer" in known.using("valkey") and "newcomer" not in known.using("etcd")
    assert known.callers("manager", "api")["newcomer"] == EACH
    assert known.for_users("newcomer", "api") and "newcomer" in known.certified()
    assert known.holders()["newcomer-key"] == {"newcomer"}
