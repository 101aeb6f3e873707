"""A run as a whole: flags, locks, which components may start."""

from __future__ import annotations

import pytest

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import BadRequest, Pending
from backendai_ctl.facts import Facts
from backendai_ctl.operations import reconfigure as module
from backendai_ctl.platform import systemd
from backendai_ctl.services import serving
from backendai_ctl.services.serving import Serve
from backendai_ctl.steps.start_services import StartServices


class Step:
    """A step that ends as it is told."""

    title, timeout, needs = "Do it", 5, ()

    def __init__(self, name: str, components: tuple[str, ...], error: Pending | None) -> None:
        self.name, self.components, self.error = name, components, error

    def concerns(self, _facts: Facts) -> tuple[str, ...]:
        return self.components

    def check(self, ctx: Context) -> list[object]:
        if self.error:
            raise self.error
        return []


def run(monkeypatch: pytest.MonkeyPatch, ctx: Context, *steps: Step) -> tuple[str, set[str]]:
    started: set[str] = set()
    monkeypatch.setattr(module, "all_steps", lambda _facts: list(steps))
    monkeypatch.setattr(StartServices, "check", lambda self, _ctx: started.update(self.ready) or [])
    return module.reconfigure(ctx).state, started


def test_a_pending_step_holds_back_its_components_alone(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    steps = Step("a", ("manager", "agent"), Pending("etcd is down")), Step("b", (), None)
    state, started = run(monkeypatch, ctx, *steps)
    assert state == "pending"
    assert started == set(ctx.facts.installed()) - {"manager", "agent"}
    assert module.pending_flag(ctx).exists()


def test_what_starts_after_a_component_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    """A worker is not healthy without its coordinator: the run would wait for it in vain."""
    step = Step("a", ("appproxy-coordinator",), Pending("the database is down"))
    started = run(monkeypatch, ctx, step)[1]
    waiting = {"appproxy-coordinator", "appproxy-worker", "appproxy-tcp-worker"}
    assert started == set(ctx.facts.installed()) - waiting


def test_a_service_does_not_wait_for_steps_of_others(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    """All of its own are done: it may start while the manager's database is migrated."""
    begun: list[set[str]] = []
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(StartServices, "begin", lambda self, _ctx: begun.append({*self.ready}))
    coordinator = Step("b", ("appproxy-coordinator",), None)
    failing = Step("d", ("agent",), Pending("not now"))
    run(monkeypatch, ctx, Step("a", (), None), coordinator, Step("c", ("manager",), None), failing)
    late = {"appproxy-coordinator", "appproxy-worker", "appproxy-tcp-worker"}
    rest = set(ctx.facts.installed()) - {*late, "manager", "agent"}
    assert begun == [rest, late, {"manager"}]


def server(name: str, needs: tuple[str, ...]) -> Serve:
    words = {"name": f"prepare-{name}", "title": "Set it up", "server": name, "needs": needs}
    made: Serve = type("Made", (Serve,), words)()
    return made


def test_servers_start_together_and_the_step_of_each_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    """As soon as what they need is done, and with the flag for the next boot."""
    seen: list[str] = []
    cache, database = server("valkey", ("a",)), server("postgresql", ("a", "b"))
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(serving, "todo", lambda _ctx, name: [Change(name, "start it")])
    monkeypatch.setattr(serving, "run", lambda _ctx, name: seen.append(f"waited for {name}"))
    monkeypatch.setattr(
        Serve,
        "begin",
        lambda self, ctx: seen.append(f"{self.server}, {module.pending_flag(ctx).exists()}"),
    )
    run(monkeypatch, ctx, Step("a", (), None), Step("b", ("manager",), None), cache, database)
    assert seen == [
        "valkey, True",
        "postgresql, True",
        "waited for valkey",
        "waited for postgresql",
    ]


def test_a_server_that_is_well_when_its_turn_comes_was_set_up_by_this_run(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    """The journal and the report say so, though its step had nothing to do."""
    begun: list[str] = []
    cache = server("valkey", ("a",))
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(
        serving, "todo", lambda _ctx, name: [] if begun else [Change(name, "start it")]
    )
    monkeypatch.setattr(Serve, "begin", lambda self, _ctx: begun.append(self.server))
    monkeypatch.setattr(module, "all_steps", lambda _facts: [Step("a", (), None), cache])
    monkeypatch.setattr(StartServices, "check", lambda self, _ctx: [])
    report = module.reconfigure(ctx)
    assert report.changed == ["prepare-valkey"]
    rows = [(e["event"], e["step"]) for e in Journal(ctx.paths.ctl).events()]
    assert rows == [("begin", "prepare-valkey"), ("done", "prepare-valkey")]


def test_a_server_does_not_start_before_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    seen: list[str] = []
    cache = server("valkey", ("a",))
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(serving, "todo", lambda _ctx, name: [Change(name, "start it")])
    monkeypatch.setattr(Serve, "begin", lambda self, _ctx: seen.append(self.server))
    run(monkeypatch, ctx, Step("a", (), Pending("not now")), Step("b", (), None), cache)
    assert seen == []


def test_without_systemd_nothing_starts_early(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(systemd, "booted", lambda: False)
    monkeypatch.setattr(StartServices, "begin", lambda self, _ctx: begun.append(self))
    run(monkeypatch, ctx, Step("a", (), None))
    assert begun == []


def test_a_run_that_is_cut_off_is_flagged_for_the_next_boot(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    """From its first change on; a run without one leaves no trace."""
    flagged: list[bool] = []

    class Working(Step):
        def check(self, ctx: Context) -> list[object]:
            return [Change("a", "do it")]

        def apply(self, ctx: Context) -> None:
            flagged.append(module.pending_flag(ctx).exists())

    run(monkeypatch, ctx, Working("a", (), None))
    assert flagged == [True] and not module.pending_flag(ctx).exists()


def test_only_the_services_start_where_other_steps_are_not_done(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    started: set[str] = set()
    steps = [Step("a", ("manager",), Pending("not migrated")), Step("b", (), None)]
    monkeypatch.setattr(module, "all_steps", lambda _facts: steps)
    monkeypatch.setattr(StartServices, "check", lambda self, _: started.update(self.ready) or [])
    module.reconfigure(ctx, only=["start-services"])
    assert started == set(ctx.facts.installed()) - {"manager"}


def test_the_flag_goes_when_everything_is_done(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    run(monkeypatch, ctx, Step("a", (), Pending("not now")))
    assert run(monkeypatch, ctx, Step("a", (), None))[0] == "done"
    assert not module.pending_flag(ctx).exists()


def test_a_failing_step_for_all_holds_back_everything(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    assert run(monkeypatch, ctx, Step("a", (), Pending("not now")))[1] == set()


def test_unknown_steps_are_refused(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    monkeypatch.setattr(module, "all_steps", lambda _facts: [Step("a", (), None)])
    with pytest.raises(BadRequest, match="no step 'seed'"):
        module.reconfigure(ctx, only=["seed"])


def test_one_run_at_a_time(ctx: Context) -> None:
    with (
        module.exclusive(ctx),
        pytest.raises(Pending, match="another backendai-ctl"),
        module.exclusive(ctx),
    ):
        pass


def test_the_outcome_is_kept_for_status(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    run(monkeypatch, ctx, Step("a", (), Pending("etcd is down", hint="start it")))
    kept = Journal(ctx.paths.ctl).last()["steps"]["a"]
    assert kept == {"state": "pending", "message": "etcd is down", "hint": "start it"}
    assert Outcome("same").ok


def test_records_that_an_earlier_release_left_open_are_closed(ctx: Context) -> None:
    ctx.paths.ctl.mkdir()
    for name in ("result.json", "migration-manager.json"):
        (ctx.paths.ctl / name).write_text("{}")
        (ctx.paths.ctl / name).chmod(0o644)
    with module.exclusive(ctx):
        modes = {path.stat().st_mode & 0o777 for path in ctx.paths.ctl.glob("*.json")}
    assert modes == {0o640}
    touched = [path.stat().st_ctime_ns for path in ctx.paths.ctl.glob("*.json")]
    with module.exclusive(ctx):
        assert [path.stat().st_ctime_ns for path in ctx.paths.ctl.glob("*.json")] == touched


def test_flags_of_services_hide_what_they_are_made_of(
    monkeypatch: pytest.MonkeyPatch, ctx: Context
) -> None:
    """They hold hashes over files with passwords, which could be guessed from them at leisure."""
    monkeypatch.setattr(systemd, "systemctl", lambda *_, **__: "")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    StartServices(frozenset({"gateway"})).begin(ctx)
    (flag,) = (ctx.paths.ctl / "ready").iterdir()
    assert flag.read_text().strip() and flag.stat().st_mode & 0o777 == 0o600
