"""Components that no role brings: they matter where somebody installed them, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.facts import Facts
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.site.schema import Node, Site
from backendai_ctl.topology import here, holders
from backendai_ctl.validation.load import parse

NAME = "account-manager"
UNIT = f"backendai-{NAME}.service"


def keys(facts: Facts, text: str) -> list[str]:
    try:
        parse(facts.paths.site_file, text, facts)
    except SiteFaults as wrong:
        return [fault.key for fault in wrong.faults]
    return []


def external(password: Path) -> str:
    given = "".join(
        f'[database.{name}]\npassword_file = "{password}"\n' for name in ("manager", "coordinator")
    )
    return f'[database]\nmode = "external"\nhost = "db.example.org"\n{given}'


def test_a_site_file_is_checked_before_anything_is_installed(facts: Facts, tmp_path: Path) -> None:
    """As install.sh --site does, which installs backendai-ctl alone first."""
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    text = external(tmp_path / "password")
    assert keys(facts, text) == []
    for unit in facts.paths.units.iterdir():
        unit.unlink()
    assert keys(facts, text) == []
    (facts.paths.units / UNIT).touch()
    assert keys(facts, text) == [f"database.{NAME}.password_file"]


@pytest.mark.parametrize(
    "text",
    [
        "[database]\nport = 8099\n",
        "[network.ports.manager]\napi = 18098\n",
        '[database.manager]\nname = "backendai_accounts"\n',
    ],
)
def test_its_ports_and_names_are_free_where_it_is_not(facts: Facts, text: str) -> None:
    assert keys(facts, text) == []
    (facts.paths.units / UNIT).touch()
    assert len(keys(facts, text)) == 1


def test_two_databases_of_one_name_are_one_fault(facts: Facts) -> None:
    text = '[database.manager]\nname = "x1"\n[database.coordinator]\nname = "x1"\n'
    assert keys(facts, text) == ["database.coordinator.name"]


def test_among_nodes_it_runs_where_secrets_are_made(facts: Facts) -> None:
    (facts.paths.units / UNIT).touch()
    nodes = {
        "one": Node(address="10.0.0.1", roles=["management", "storage"]),
        "two": Node(address="10.0.0.2", roles=["management"]),
        "gpu": Node(address="10.0.0.3", roles=["compute"]),
    }
    for name in nodes:
        seen, _ = here.view(facts, Site(nodes=nodes), name, nodes[name].address)
        assert (NAME in seen.installed()) == (name == "one")
        made = here.on_behalf(facts, Site(nodes=nodes), name)
        assert name == "one" or f"database-{NAME}" not in holders.needed(made)
