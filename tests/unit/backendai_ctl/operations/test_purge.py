"""Purge: what it undoes, in which order, and what it keeps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import fake_systemd
import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.etcd import access
from backendai_ctl.facts import Facts
from backendai_ctl.nodes import hosts
from backendai_ctl.operations import purge as module
from backendai_ctl.platform import files, trees
from backendai_ctl.site.schema import Site, Storage, Volume
from backendai_ctl.steps import register_app_proxy, seed_etcd
from backendai_ctl.steps.apply_firewall import ApplyFirewall
from backendai_ctl.steps.confine_containers import ConfineContainers
from backendai_ctl.steps.create_volumes import CreateVolumes
from backendai_ctl.steps.start_tls_proxy import StartTlsProxy
from backendai_ctl.storage import volumes
from backendai_ctl.topology import here, places


@dataclass
class Fake:
    name: str
    log: list[str]
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    error: Problem | None = field(default=None)
    timeout: int = 5

    def concerns(self, _facts: Facts) -> tuple[str, ...]:
        return self.components

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
    monkeypatch.setattr(module, "all_steps", lambda _facts: steps)
    return done


def test_steps_are_undone_last_first_and_one_failure_keeps_no_other(
    ctx: Context, log: list[str]
) -> None:
    with pytest.raises(Problem, match="second: no"):
        module.purge(ctx, data=False, dry_run=False)
    assert log == ["third", "second", "first"]


def test_dry_run_touches_nothing_and_names_the_data(ctx: Context, log: list[str]) -> None:
    ctx.paths.secrets.mkdir()
    said = module.purge(ctx, data=True, dry_run=True).gone
    assert log == []
    assert str(ctx.paths.secrets) in said


def test_secrets_and_volumes_stay_without_data(ctx: Context, log: list[str]) -> None:
    volume = ctx.paths.volumes / "volume1"
    for folder in (ctx.paths.secrets, volume, ctx.paths.ctl):
        folder.mkdir(parents=True)
    with pytest.raises(Problem):
        module.purge(ctx, data=False, dry_run=False)
    assert ctx.paths.secrets.is_dir() and volume.is_dir() and not ctx.paths.ctl.exists()


def owned(ctx: Context, **paths: Path) -> Context:
    """Volumes at these paths; the services' user is who runs the tests."""
    facts = replace(ctx.facts, user="root", uid=os.geteuid(), gid=os.getegid())
    found = {name: Volume(path=path) for name, path in paths.items()}
    return Context(facts, Site(storage=Storage(volumes=found)))


def prepared(ctx: Context) -> Context:
    """With the folders of its volumes, as they are made."""
    for place in places.places(ctx):
        volumes.prepare(ctx, place)
        (place.path / "of-a-user").mkdir()
    return ctx


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to undo."""
    monkeypatch.setattr(module, "all_steps", lambda _facts: [])


def test_only_volumes_that_a_record_says_were_made_here_are_data(
    ctx: Context, no_steps: None, tmp_path: Path
) -> None:
    """One of an earlier release, or of a file system of the whole site, looks just the same."""
    mine, earlier = tmp_path / "mine", tmp_path / "earlier"
    made = prepared(owned(ctx, mine=mine))
    (earlier / "of-a-user").mkdir(mode=0o750, parents=True)
    (earlier / volumes.VERSION_FILE).write_text(volumes.VERSION)
    both = owned(ctx, mine=mine, earlier=earlier, absent=tmp_path / "absent")
    planned = module.purge(both, data=True, dry_run=True)
    assert mine.is_dir()
    said = module.purge(both, data=True, dry_run=False)
    assert said == planned
    assert said.gone[-1].startswith(f"{mine} (volume mine): made here on 2")
    assert not mine.exists()
    (line,) = said.left
    assert line.startswith(f"{earlier} (volume earlier): no record says that backendai-ctl made it")
    assert (earlier / "of-a-user").is_dir()
    assert not made.paths.ctl.exists()


def test_the_record_outlives_a_purge_that_keeps_the_data(
    ctx: Context, no_steps: None, tmp_path: Path
) -> None:
    made = prepared(owned(ctx, mine=tmp_path / "mine"))
    files.write(made.paths.ctl / "ready/manager", "x")
    module.purge(made, data=False, dry_run=False)
    assert [path.name for path in made.paths.ctl.iterdir()] == ["volumes-made.json"]
    assert (tmp_path / "mine/of-a-user").is_dir()
    module.purge(made, data=True, dry_run=False)
    assert not (tmp_path / "mine").exists()


def test_one_volume_goes_and_the_others_can_go_later(
    ctx: Context, no_steps: None, tmp_path: Path
) -> None:
    made = prepared(owned(ctx, one=tmp_path / "one", two=tmp_path / "two"))
    said = module.purge(made, data=True, dry_run=False, named=["two"])
    assert said.left == [f"{tmp_path / 'one'} (volume one): not named by --volumes"]
    assert (tmp_path / "one").is_dir() and not (tmp_path / "two").exists()
    module.purge(made, data=True, dry_run=False)
    assert not (tmp_path / "one").exists() and not made.paths.ctl.exists()


def test_folders_of_ours_are_left_where_something_is_mounted_in_them(
    ctx: Context, no_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, scratch = ctx.paths.state / "agent", ctx.paths.state / "agent/scratch"
    for path in (scratch, ctx.paths.secrets, ctx.paths.state / "manager"):
        path.mkdir(parents=True)
    (ctx.paths.state / "webserver").symlink_to(ctx.paths.secrets)
    monkeypatch.setattr(trees, "mounts_in", lambda path: [scratch] if path == state else [])
    said = module.purge(ctx, data=True, dry_run=False)
    assert said.left == [
        f"{state}: {scratch} is mounted: umount it first",
        f"{ctx.paths.state / 'webserver'}: a link",
    ]
    assert scratch.is_dir()
    assert not ctx.paths.secrets.exists() and not (ctx.paths.state / "manager").exists()


def test_a_disk_for_images_is_left_and_mounts_of_containers_are_not_waited_for(
    ctx: Context, no_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ctx.paths.state / "docker"
    images.mkdir(parents=True)
    monkeypatch.setattr(trees, "mounts_in", lambda path: [images] if path == images else [])
    said = module.purge(ctx, data=True, dry_run=True)
    assert said.left == [f"{images}: {images} is mounted: umount it first"]
    monkeypatch.setattr(trees, "mounts_in", lambda path: [images / "one"] if path == images else [])
    said = module.purge(ctx, data=True, dry_run=True)
    assert str(images) in said.gone and not said.left


def test_what_the_sites_own_servers_keep_is_data(
    ctx: Context, no_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their folders go whole: no server has to run for it, and none is asked."""
    folders = [ctx.paths.state / name for name in ("postgresql", "valkey", "etcd")]
    for folder in folders:
        (folder / "17").mkdir(parents=True)
    module.purge(ctx, data=False, dry_run=False)
    assert all(folder.is_dir() for folder in folders)
    said = module.purge(ctx, data=True, dry_run=False)
    assert {str(folder) for folder in folders} <= set(said.gone)
    assert not any(folder.exists() for folder in folders)


def test_services_stop_before_servers_and_servers_before_their_data_goes(
    ready: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps in between ask the servers, which stop with backendai.target as well."""
    host = fake_systemd.install(monkeypatch, tmp_path / "system")
    for name, server in ready.facts.servers.items():
        files.write(ready.paths.ready(name), "x\n")
        (ready.paths.state / server.name).mkdir()
    for step, asked in (
        (seed_etcd.SeedEtcd, "etcd"),
        (register_app_proxy.RegisterAppProxy, "PostgreSQL"),
    ):
        say = partial(host.calls.append, f"{asked} is asked")
        monkeypatch.setattr(step, "undo", lambda _self, _ctx, say=say: say())
    for other in (StartTlsProxy, ApplyFirewall, ConfineContainers, CreateVolumes):
        monkeypatch.setattr(other, "undo", lambda _self, _ctx: None)
    removed = trees.remove
    monkeypatch.setattr(
        trees, "remove", lambda path, *more: (host.calls.append(str(path)), removed(path, *more))
    )
    module.purge(ready, data=True, dry_run=False)

    def at(words: str) -> int:
        found = (n for n, call in enumerate(host.calls) if set(words.split()) <= set(call.split()))
        return next(found)

    stops = [at(f"stop backendai-{name}.service") for name in ("postgresql", "etcd", "valkey")]
    asked = [at("etcd is asked"), at("PostgreSQL is asked")]
    assert at("stop backendai-webserver.service") < min(asked) <= max(asked) < min(stops)
    target = at("stop backendai.target")
    assert max(stops) < target < at(str(ready.paths.state / "postgresql"))


def test_what_was_made_on_request_goes_as_well(
    ctx: Context, no_steps: None, hosts_file: Path
) -> None:
    before = hosts_file.read_text()
    hosts.write(["10.0.0.1\tmgmt"], hosts_file)
    here.name_file(ctx.facts).write_text("mgmt\n")
    said = module.purge(ctx, data=False, dry_run=True)
    assert said.gone == [f"lines of the nodes in {hosts_file}", str(here.name_file(ctx.facts))]
    assert module.purge(ctx, data=False, dry_run=False) == said
    assert hosts_file.read_text() == before
    assert not here.name_file(ctx.facts).exists()
    assert module.purge(ctx, data=False, dry_run=True).gone == []


def test_a_purge_that_has_to_be_repeated_keeps_the_name_of_the_node(
    ctx: Context, log: list[str]
) -> None:
    here.name_file(ctx.facts).write_text("mgmt\n")
    with pytest.raises(Problem):
        module.purge(ctx, data=False, dry_run=False)
    assert here.name_file(ctx.facts).exists()


def test_the_firewall_is_taken_back_by_its_step(ctx: Context) -> None:
    assert "undo apply-firewall" in module.purge(ctx, data=False, dry_run=True).gone


def test_a_second_purge_asks_no_server_that_the_first_one_stopped(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_words: object, **_options: object) -> NoReturn:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(register_app_proxy, "connect", ask)
    monkeypatch.setattr(access, "connect", ask)
    steps = (register_app_proxy.RegisterAppProxy(), seed_etcd.SeedEtcd())
    for step in steps:
        step.undo(ctx)
    for name in ("postgresql", "etcd"):
        files.write(ctx.paths.ready(name), "set up\n")
    for step in steps:
        with pytest.raises(AssertionError):
            step.undo(ctx)
