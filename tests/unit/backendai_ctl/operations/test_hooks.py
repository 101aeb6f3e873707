"""What maintainer scripts ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from backendai_ctl.cli import hook
from backendai_ctl.context import Context
from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.operations import hooks
from backendai_ctl.operations.reconfigure import Report

Runs = list[Context]


@pytest.fixture(autouse=True)
def booted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder by which systemd shows that it runs."""
    monkeypatch.setattr(hooks.systemd, "RUNNING", tmp_path)
    monkeypatch.setattr(hooks.systemd, "apart", lambda: False)
    monkeypatch.setattr(hooks.systemd, "systemctl", lambda *_: "")
    return tmp_path


@pytest.fixture
def flag(facts: Facts) -> Path:
    """The flag that maintainer scripts make."""
    path = facts.paths.ctl / "pending"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.fixture
def role(facts: Facts) -> Path:
    path = facts.paths.share / "roles/all-in-one"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runs]:
    """ends(report): have a run of reconfigure end so; gives the list of runs."""

    def prepare(report: Report | Exception) -> Runs:
        runs: Runs = []

        def run(ctx: Context) -> Report:
            runs.append(ctx)
            if isinstance(report, Exception):
                raise report
            return report

        monkeypatch.setattr(hooks.reconfigure, "reconfigure", run)
        return runs

    return prepare


DONE = Report("done", {"render-configs": Outcome("done")})


def test_a_transaction_configures_the_host_once(
    facts: Facts, ctx: Context, flag: Path, role: Path, ends: Callable[..., Runs]
) -> None:
    runs = ends(Report("failed", {"seed-etcd": Outcome("failed", "etcd is down")}))
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("pending: seed-etcd: etcd is down; ")
    assert line.endswith("backendai-ctl reconfigure")
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert len(runs) == 1
    flag.write_text("")  # the next transaction's scripts do this
    assert hooks.triggered(facts, lambda: ctx, {})
    assert len(runs) == 2


def test_systemd_reads_the_units_of_all_packages_once(
    facts: Facts, ctx: Context, flag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing is configured."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(hooks.systemd, "systemctl", lambda *words: calls.append(words))
    for _package in range(3):
        hooks.triggered(facts, lambda: ctx, {hooks.SWITCH: "1"})
    assert calls == [("daemon-reload",)]


def test_nothing_pending_is_nothing_to_do(
    facts: Facts, ctx: Context, role: Path, ends: Callable[..., Runs]
) -> None:
    runs = ends(DONE)
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert runs == []


@pytest.mark.parametrize("environment", [{}, {hooks.SWITCH: ""}, {hooks.SWITCH: "0"}])
def test_a_host_with_a_role_is_configured(
    facts: Facts,
    ctx: Context,
    flag: Path,
    role: Path,
    ends: Callable[..., Runs],
    environment: dict[str, str],
) -> None:
    runs = ends(DONE)
    assert hooks.triggered(facts, lambda: ctx, environment).startswith(
        "this host is configured; web UI: https://localhost:8090"
    )
    assert runs == [ctx]


def test_so_is_one_with_a_site_file(
    facts: Facts, ctx: Context, flag: Path, ends: Callable[..., Runs]
) -> None:
    facts.paths.site_file.touch()
    runs = ends(Report("done", {"render-configs": Outcome("same")}))
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert runs == [ctx]


def test_components_alone_configure_nothing(
    facts: Facts, ctx: Context, flag: Path, ends: Callable[..., Runs]
) -> None:
    runs = ends(DONE)
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("not configured: no role ")
    assert runs == [] and flag.exists()


def test_a_host_that_was_configured_stays_so(
    facts: Facts, ctx: Context, flag: Path, ends: Callable[..., Runs]
) -> None:
    """Its role goes with the first of its components that is removed; `purge` ends it."""
    Journal(facts.paths.ctl).finish({"render-configs": Outcome("failed")})
    runs = ends(Report("done", {"render-configs": Outcome("same")}))
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert runs == [ctx]
    folder = facts.paths.share / "roles"
    folder.mkdir()
    (folder / "compute-node").touch()  # useless alone, but this host has the other components
    flag.write_text("")
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert runs == [ctx, ctx]


def test_the_operator_can_switch_it_off(
    facts: Facts, ctx: Context, flag: Path, role: Path, ends: Callable[..., Runs]
) -> None:
    runs = ends(DONE)
    assert hooks.SWITCH in hooks.triggered(facts, lambda: ctx, {hooks.SWITCH: "1"})
    flag.write_text("")
    hooks.no_configure(facts).touch()
    assert "no-configure" in hooks.triggered(facts, lambda: ctx, {})
    assert runs == []


def test_an_image_gets_no_secrets_when_it_is_built(
    facts: Facts,
    ctx: Context,
    flag: Path,
    role: Path,
    ends: Callable[..., Runs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks.systemd, "RUNNING", Path("/nonexistent"))
    runs = ends(DONE)
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("pending: no systemd is running here; finished at the next boot")
    assert runs == [] and flag.exists()


def test_scripts_with_a_network_of_their_own_let_systemd_do_it(
    facts: Facts,
    ctx: Context,
    flag: Path,
    role: Path,
    ends: Callable[..., Runs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """rpm 4.20 gives its scripts one, in which no server of the site answers."""
    calls = []

    def outside(argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> str:
        calls.append((tuple(argv), dict(environment)))
        return '{"dry_run": false, "message": "this host is configured", "pending": false}'

    monkeypatch.setattr(hooks.systemd, "apart", lambda: True)
    monkeypatch.setattr(hooks.systemd, "outside", outside)
    runs = ends(DONE)
    environment = {hooks.SWITCH: "1", "OTHER": "x"}
    assert hooks.triggered(facts, lambda: ctx, environment) == "this host is configured"
    assert calls == [(hooks.CALL, {hooks.SWITCH: "1"})]
    assert runs == [] and flag.read_text() == ""  # tried by that call alone
    flag.write_text(hooks.TRIED)
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert len(calls) == 1


def test_a_systemd_that_does_not_do_it_is_asked_once(
    facts: Facts, ctx: Context, flag: Path, role: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outside(*words: object) -> str:
        raise Problem("systemd-run failed: no bus")

    monkeypatch.setattr(hooks.systemd, "apart", lambda: True)
    monkeypatch.setattr(hooks.systemd, "outside", outside)
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("pending: systemd-run failed: no bus; ")
    assert hooks.triggered(facts, lambda: ctx, {}) == ""


@pytest.mark.parametrize(
    "trouble",
    [
        Pending("another backendai-ctl is at work", hint="wait"),
        Problem("disk full"),
        RuntimeError("a bug"),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    facts: Facts,
    ctx: Context,
    flag: Path,
    role: Path,
    ends: Callable[..., Runs],
    trouble: Exception,
) -> None:
    ends(trouble)
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("pending: ") and "\n" not in line
    assert str(trouble.args[0]) in line


def test_a_bad_site_file_is_one_line_too(facts: Facts, flag: Path, role: Path) -> None:
    def load() -> Context:
        raise BadRequest("site.toml:3: unknown key", hint="remove it")

    assert "site.toml:3: unknown key (remove it)" in hooks.triggered(facts, load, {})


def test_a_boot_tries_again_and_fails_if_something_is_left(
    facts: Facts, ctx: Context, flag: Path, role: Path, ends: Callable[..., Runs]
) -> None:
    flag.write_text(hooks.TRIED)
    outcomes = {
        "seed-etcd": Outcome("pending", "etcd is down"),
        "render-configs": Outcome("blocked", "waits for seed-etcd"),
    }
    ends(Report("pending", outcomes))
    with pytest.raises(Pending, match="seed-etcd: etcd is down"):
        hooks.configure(facts, lambda: ctx, {})
    ends(DONE)
    assert hooks.configure(facts, lambda: ctx, {}).startswith(
        "this host is configured; web UI: https://localhost:8090"
    )


def test_the_command_prints_the_line(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook.facts, "load", lambda: facts)
    monkeypatch.setattr(hooks, "triggered", lambda *words: "pending: x")
    done = CliRunner().invoke(hook.command, ["triggered", "backendai-manager"])
    assert (done.exit_code, done.stdout) == (0, "backendai: pending: x\n")
    said = json.loads(CliRunner().invoke(hook.command, ["triggered", "x", "--json"]).stdout)
    assert said == {
        **{"ok": True, "errors": [], "dry_run": False},
        **{"message": "pending: x", "pending": True},
    }
    assert CliRunner().invoke(hook.command, ["no-such-action"]).exit_code == 2


def test_a_dry_run_tells_and_does_nothing(
    facts: Facts,
    flag: Path,
    role: Path,
    ends: Callable[..., Runs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = ends(DONE)
    monkeypatch.setattr(hook.facts, "load", lambda: facts)
    done = CliRunner().invoke(hook.command, ["triggered", "backendai-manager", "--dry-run"])
    assert "would configure this host" in done.stdout
    hooks.no_configure(facts).touch()
    done = CliRunner().invoke(hook.command, ["boot", "--dry-run"])
    assert "no-configure exists" in done.stdout
    assert runs == [] and flag.exists()
