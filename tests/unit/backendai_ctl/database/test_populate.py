"""What the release's commands say is told without the rows they show."""

from __future__ import annotations

import pytest
import tomllib
from declared import MANAGER

from backendai_ctl.context import Context
from backendai_ctl.database import populate as module
from backendai_ctl.database.databases import Target
from backendai_ctl.database.programs import Programs
from backendai_ctl.errors import Problem
from backendai_ctl.platform.run import Done

SAID = """\
2026-11-23 18:20:53 ERROR ai.backend Failed to populate fixtures
asyncpg.exceptions.DataError: invalid input for query argument
sqlalchemy.exc.DBAPIError: (DBAPIError) shared_memory [SQL: INSERT INTO keypairs VALUES ($1)]
[parameters: ('AKIA', 'very-secret')]
"""


@pytest.fixture
def target(ctx: Context) -> Target:
    ctx.secrets.create("database-manager")
    return Target(ctx, MANAGER)


def test_a_failure_is_told_without_rows(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Programs, "backend_ai", lambda *_, **__: Done(1, "", SAID))
    with pytest.raises(Problem) as caught:
        module.populate(target, {"keypairs": [{"secret_key": "very-secret"}]})
    assert "shared_memory" in caught.value.message
    assert "very-secret" not in str(caught.value)


def test_files_are_private_while_it_runs_and_gone_afterwards(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def run(self: Programs, *_calls: list[str], env: dict[str, str]) -> Done:
        for path in self.folder.iterdir():
            seen[path.name] = (path.stat().st_mode & 0o777, path.read_text())
        seen["folder"] = (self.folder.stat().st_mode & 0o777, str(self.folder))
        assert env["BACKEND_CONFIG_FILE"] == str(self.folder / "manager.toml")
        return Done(0, "", "")

    monkeypatch.setattr(Programs, "backend_ai", run)
    module.populate(target, {"users": []})
    assert seen["folder"][0] == 0o700
    assert seen["rows.json"][0] == seen["manager.toml"][0] == 0o600
    config = tomllib.loads(seen["manager.toml"][1])
    assert config["db"]["password"] == target.password
    assert not any((target.ctx.paths.run / "ctl").iterdir())


def test_roles_are_made_by_the_release_itself_with_the_same_configuration(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def run(self: Programs, *calls: list[str], env: dict[str, str]) -> Done:
        config = tomllib.loads((self.folder / "manager.toml").read_text())
        seen.append((calls, config["db"]["name"]))
        return Done(0, "Provisioned the preset roles.", "")

    monkeypatch.setattr(Programs, "backend_ai", run)
    module.provision(target)
    module.populate(target, {"users": []}, roles=True)
    roles = ["mgr", "permissions", "provision"]
    assert seen[0] == ((roles,), target.dbname)
    ((rows, after), _) = seen[1]
    assert (rows[:3], after) == (["mgr", "fixture", "populate"], roles)


def test_a_refusal_to_make_roles_is_a_problem(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Programs, "backend_ai", lambda *_, **__: Done(1, "", SAID))
    with pytest.raises(Problem, match="making roles failed"):
        module.provision(target)


def test_a_registry_is_read_by_the_sites_authority(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def run(_: Programs, *calls: list[str], env: dict[str, str]) -> Done:
        seen.update(calls=[list(words) for words in calls], trust=env["SSL_CERT_FILE"])
        return Done(0, "", "")

    monkeypatch.setattr(Programs, "backend_ai", run)
    module.rescan(target, "10.0.0.1:8140")
    assert seen["calls"] == [["mgr", "image", "rescan", "10.0.0.1:8140"]]
    assert seen["trust"] == str(target.ctx.paths.tls / "trust.crt")
