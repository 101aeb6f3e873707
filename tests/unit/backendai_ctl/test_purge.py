"""Purge: what it undoes, in which order, and what it keeps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backendai_ctl import purge as module
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.nodes import here, hosts
from backendai_ctl.site.schema import Database, Site, Storage, Volume
from backendai_ctl.steps import create_databases
from backendai_ctl.storage import volumes
from backendai_ctl.system.run import Done


@dataclass
class Fake:
    name: str
    log: list[str]
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    error: Problem | None = field(default=None)

    def undo(self, ctx: Context) -> None:
        self.log.append(self.name)
        if self.error:
            raise self.error


@pytest.fixture(autouse=True)
def hosts_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(hosts, "FILE", tmp_path / "hosts")
    hosts.FILE.write_text("127.0.0.1\tlocalhost\n")
    return hosts.FILE


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    steps = [
        Fake("first", done),
        Fake("second", done, ("first",), error=Problem("no")),
        Fake("third", done),
    ]
    monkeypatch.setattr(module, "all_steps", lambda: steps)
    return done


def test_steps_are_undone_last_first_and_one_failure_keeps_no_other(
    ctx: Context, log: list[str]
) -> None:
    with pytest.raises(Problem, match="second: no"):
        module.purge(ctx, data=False, dry_run=False)
    assert log == ["third", "second", "first"]


def test_dry_run_touches_nothing_and_names_the_data(ctx: Context, log: list[str]) -> None:
    ctx.paths.secrets.mkdir()
    said = module.purge(ctx, data=True, dry_run=True)
    assert log == []
    assert str(ctx.paths.secrets) in said
    assert "database backendai, role backendai" in said


def test_secrets_and_volumes_stay_without_data(ctx: Context, log: list[str]) -> None:
    volume = ctx.paths.volumes / "volume1"
    for folder in (ctx.paths.secrets, volume, ctx.paths.ctl):
        folder.mkdir(parents=True)
    with pytest.raises(Problem):
        module.purge(ctx, data=False, dry_run=False)
    assert ctx.paths.secrets.is_dir() and volume.is_dir() and not ctx.paths.ctl.exists()


def owned(ctx: Context, **paths: Path) -> Context:
    """Volumes at these paths; the services' user is who runs the tests."""
    facts = replace(ctx.facts, uid=os.geteuid(), gid=os.getegid())
    found = {name: Volume(path=path) for name, path in paths.items()}
    return Context(facts, Site(storage=Storage(volumes=found)))


def volume(path: Path, version: str = volumes.VERSION) -> Path:
    path.mkdir(parents=True)
    (path / volumes.VERSION_FILE).write_text(version)
    return path


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing to undo, and the SQL that PostgreSQL was given."""
    given: list[str] = []
    monkeypatch.setattr(module, "all_steps", list)
    monkeypatch.setattr(module, "psql", lambda _ctx, sql: given.append(sql))
    return given


def test_only_volumes_that_we_made_are_data(
    ctx: Context, no_steps: list[str], tmp_path: Path
) -> None:
    mine = volume(tmp_path / "mine")
    other = volume(tmp_path / "other", version="2")
    bare = tmp_path / "bare"
    (bare / "of-a-user").mkdir(parents=True)
    (tmp_path / "link").symlink_to(volume(tmp_path / "elsewhere"))
    named = {"other": other, "bare": bare, "link": tmp_path / "link"}
    made = owned(ctx, mine=mine, absent=tmp_path / "absent", **named)
    said = module.purge(made, data=True, dry_run=False)
    assert str(mine) in said and not mine.exists()
    for path in named.values():
        assert f"left {path}: not made by backendai-ctl" in said
        assert str(path) not in said and path.is_dir()
    assert not any("absent" in line for line in said)


def test_a_volume_of_another_owner_is_left(
    ctx: Context, no_steps: list[str], tmp_path: Path
) -> None:
    made = owned(ctx, mine=volume(tmp_path / "mine"))
    another = Context(replace(made.facts, uid=os.geteuid() + 1), made.site)
    module.purge(another, data=True, dry_run=False)
    assert (tmp_path / "mine").is_dir()


def test_a_volume_never_takes_folders_of_the_host_or_of_ours_along(
    ctx: Context, no_steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, above = volume(tmp_path / "srv"), volume(ctx.paths.config / "volume").parent
    (above / volumes.VERSION_FILE).write_text(volumes.VERSION)
    monkeypatch.setattr(module, "_SYSTEM", {system})
    made = owned(ctx, system=system, above=above)
    said = module.purge(made, data=True, dry_run=False)
    assert [line for line in said if line.startswith("left")] == [
        f"left {path}: not made by backendai-ctl" for path in (system, above)
    ]
    assert system.is_dir() and above.is_dir()


def test_nor_a_volume_that_is_mounted_below_it(
    ctx: Context, no_steps: list[str], tmp_path: Path
) -> None:
    made = owned(ctx, mine=volume(tmp_path / "mine"))
    far = Volume(kind="nfs", server="nas", export=Path("/x"), path=tmp_path / "mine/far")
    both = made.site.model_copy(
        update={"storage": Storage(volumes={**made.site.storage.volumes, "far": far})}
    )
    module.purge(Context(made.facts, both), data=True, dry_run=False)
    assert (tmp_path / "mine").is_dir()


@pytest.mark.parametrize("path", ["/", "/srv", "/usr", "/var"])
def test_folders_of_the_host_are_known(path: str) -> None:
    assert Path(path) in module._SYSTEM


def test_databases_are_dropped_at_the_port_of_the_site(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def run(argv: list[str], **options: object) -> Done:
        calls.append([*argv, str(options["stdin"])])
        return Done(0, "", "")

    monkeypatch.setattr(module, "all_steps", list)
    monkeypatch.setattr(create_databases, "run", run)
    site = ctx.site.model_copy(update={"database": Database(port=5433)})
    module.purge(Context(ctx.facts, site), data=True, dry_run=False)
    assert [call[-1].splitlines()[0] for call in calls] == [
        'DROP DATABASE IF EXISTS "backendai" WITH (FORCE);',
        'DROP DATABASE IF EXISTS "backendai_appproxy" WITH (FORCE);',
    ]
    assert all("--port=5433" in call for call in calls)


def test_a_host_without_postgresql_is_told_and_keeps_nothing_else(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_words: object, **_options: object) -> Done:
        raise KeyError("getpwnam(): name not found: 'postgres'")

    monkeypatch.setattr(module, "all_steps", list)
    monkeypatch.setattr(create_databases, "run", run)
    ctx.paths.secrets.mkdir()
    with pytest.raises(Problem, match="PostgreSQL is not installed") as told:
        module.purge(ctx, data=True, dry_run=False)
    assert told.value.hint.endswith("backendai-ctl purge --data")
    assert not ctx.paths.secrets.exists()


def test_what_was_made_on_request_goes_as_well(
    ctx: Context, no_steps: list[str], hosts_file: Path
) -> None:
    before = hosts_file.read_text()
    hosts.write(["10.0.0.1\tmgmt"], hosts_file)
    here.name_file(ctx.facts).write_text("mgmt\n")
    said = module.purge(ctx, data=False, dry_run=True)
    assert said == [f"lines of the nodes in {hosts_file}", str(here.name_file(ctx.facts))]
    assert module.purge(ctx, data=False, dry_run=False) == said
    assert hosts_file.read_text() == before
    assert not here.name_file(ctx.facts).exists()
    assert module.purge(ctx, data=False, dry_run=True) == []


def test_a_purge_that_has_to_be_repeated_keeps_the_name_of_the_node(
    ctx: Context, log: list[str]
) -> None:
    here.name_file(ctx.facts).write_text("mgmt\n")
    with pytest.raises(Problem):
        module.purge(ctx, data=False, dry_run=False)
    assert here.name_file(ctx.facts).exists()


def test_the_firewall_is_taken_back_by_its_step(ctx: Context) -> None:
    assert "undo apply-firewall" in module.purge(ctx, data=False, dry_run=True)
