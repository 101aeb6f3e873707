"""Facts are read as packages bring them: servers that a site does without are told apart."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from backendai_ctl import facts as known
from backendai_ctl.facts import Component, Facts


def as_built(row: Component) -> dict[str, object]:
    """The facts of one as its BUILD file makes them: a database is told without whose it is."""
    made = asdict(row)
    if row.database:
        del made["database"]["component"]
    return made


def shared(facts: Facts, folder: Path) -> Path:
    """The facts as files below a folder, as the package backendai-ctl brings them."""
    paths = {k: str(v) for k, v in vars(facts.paths).items() if k not in ("share", "units")}
    user = {"name": "bai", "uid": 1100, "gid": 1100, "description": "services"}
    release = {"version": "1", "full_version": "1-1", "user": user, "paths": paths}
    roles = [
        {
            "name": role.name,
            "package": role.package,
            "summary": role.summary,
            "components": role.components,
            "servers": (*role.servers, *role.beside),
            "takes": role.takes,
        }
        for role in facts.roles.values()
    ]
    files: dict[str, object] = {"release.json": release, "roles.json": {"roles": roles}}
    for kind, rows in (("components", facts.components), ("servers", facts.servers)):
        files |= {f"{kind}/{name}.json": as_built(row) for name, row in rows.items()}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(data))
    return folder


def test_they_are_read_as_they_were_written(facts: Facts, tmp_path: Path) -> None:
    found = known.load(shared(facts, tmp_path / "facts"))
    assert found.components == dict(sorted(facts.components.items()))
    assert found.servers == facts.servers and found.roles == facts.roles


def test_a_role_tells_apart_what_its_node_needs_and_what_it_does_without(facts: Facts) -> None:
    """A node is the site's first, and makes its secrets, by the servers that the site needs."""
    assert facts.roles["management"].servers == ("postgresql", "valkey", "etcd")
    assert facts.roles["management"].beside == ("registry", "prometheus", "node-exporter")
    assert all("node-exporter" in role.beside for role in facts.roles.values())
    assert not facts.roles["compute"].servers
    brought = {name for role in facts.roles.values() for name in role.beside}
    assert {s.name for s in facts.servers.values() if s.optional} == brought


def test_such_a_server_runs_where_its_unit_is(facts: Facts) -> None:
    assert set(facts.optional()) == {"node-exporter", "prometheus", "registry"}
    (facts.paths.units / "backendai-registry.service").unlink()
    assert set(facts.optional()) == {"node-exporter", "prometheus"}
