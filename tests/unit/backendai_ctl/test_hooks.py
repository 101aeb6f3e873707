"""What maintainer scripts ask for, and the scripts themselves."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import jinja2
import pytest
from click.testing import CliRunner

from backendai_ctl import hooks
from backendai_ctl.cli import hook
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.reconfigure import Report
from backendai_ctl.steps import prepare_cache, prepare_database, prepare_etcd
from backendai_ctl.steps.journal import Journal, Outcome
from backendai_ctl.storage import exports
from backendai_ctl.system import files

Runs = list[Context]


@pytest.fixture(autouse=True)
def booted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder by which systemd shows that it runs."""
    monkeypatch.setattr(hooks.systemd, "RUNNING", tmp_path)
    return tmp_path


@pytest.fixture
def mark(facts: Facts) -> Path:
    """The mark that maintainer scripts make."""
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
    facts: Facts, ctx: Context, mark: Path, role: Path, ends: Callable[..., Runs]
) -> None:
    runs = ends(Report("failed", {"seed-etcd": Outcome("failed", "etcd is down")}))
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("pending: seed-etcd: etcd is down; ")
    assert line.endswith("backendai-ctl reconfigure")
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert len(runs) == 1
    mark.write_text("")  # the next transaction's scripts do this
    assert hooks.triggered(facts, lambda: ctx, {})
    assert len(runs) == 2


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
    mark: Path,
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
    facts: Facts, ctx: Context, mark: Path, ends: Callable[..., Runs]
) -> None:
    facts.paths.site_file.touch()
    runs = ends(Report("done", {"render-configs": Outcome("same")}))
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert runs == [ctx]


def test_components_alone_configure_nothing(
    facts: Facts, ctx: Context, mark: Path, ends: Callable[..., Runs]
) -> None:
    runs = ends(DONE)
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("not configured: no role ")
    assert runs == [] and mark.exists()


def test_a_host_that_was_configured_stays_so(
    facts: Facts, ctx: Context, mark: Path, ends: Callable[..., Runs]
) -> None:
    """Its role goes with the first of its components that is removed; `purge` ends it."""
    Journal(facts.paths.ctl).finish({"render-configs": Outcome("failed")})
    runs = ends(Report("done", {"render-configs": Outcome("same")}))
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert runs == [ctx]
    folder = facts.paths.share / "roles"
    folder.mkdir()
    (folder / "compute-node").touch()  # useless alone, but this host has the other components
    mark.write_text("")
    assert hooks.triggered(facts, lambda: ctx, {}) == ""
    assert runs == [ctx, ctx]


def test_the_operator_can_switch_it_off(
    facts: Facts, ctx: Context, mark: Path, role: Path, ends: Callable[..., Runs]
) -> None:
    runs = ends(DONE)
    assert hooks.SWITCH in hooks.triggered(facts, lambda: ctx, {hooks.SWITCH: "1"})
    mark.write_text("")
    hooks.no_configure(facts).touch()
    assert "no-configure" in hooks.triggered(facts, lambda: ctx, {})
    assert runs == []


def test_an_image_gets_no_secrets_when_it_is_built(
    facts: Facts,
    ctx: Context,
    mark: Path,
    role: Path,
    ends: Callable[..., Runs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks.systemd, "RUNNING", Path("/nonexistent"))
    runs = ends(DONE)
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("pending: no systemd is running here; finished at the next boot")
    assert runs == [] and mark.exists()


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
    mark: Path,
    role: Path,
    ends: Callable[..., Runs],
    trouble: Exception,
) -> None:
    ends(trouble)
    line = hooks.triggered(facts, lambda: ctx, {})
    assert line.startswith("pending: ") and "\n" not in line
    assert str(trouble.args[0]) in line


def test_a_bad_site_file_is_one_line_too(facts: Facts, mark: Path, role: Path) -> None:
    def load() -> Context:
        raise BadRequest("site.toml:3: unknown key", hint="remove it")

    assert "site.toml:3: unknown key (remove it)" in hooks.triggered(facts, load, {})


def test_a_boot_tries_again_and_fails_if_something_is_left(
    facts: Facts, ctx: Context, mark: Path, role: Path, ends: Callable[..., Runs]
) -> None:
    mark.write_text(hooks.TRIED)
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
    assert said == {"dry_run": False, "said": "pending: x", "pending": True}
    assert CliRunner().invoke(hook.command, ["no-such-action"]).exit_code == 2


def test_a_dry_run_tells_and_does_nothing(
    facts: Facts,
    mark: Path,
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
    assert runs == [] and mark.exists()


PACKAGING = Path(__file__).parents[3] / "packaging"
ABSOLUTE = ("/etc/", "/run/systemd/", "/usr/bin/")  # what scripts name by itself


def generated() -> list[str]:
    """What packaging/ctl/BUILD has a purge remove."""
    for node in ast.walk(ast.parse((PACKAGING / "ctl/BUILD").read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "generated":
            return [str(path) for path in ast.literal_eval(node.value)]
    raise AssertionError("no `generated`")


@dataclass(frozen=True)
class Scripts:
    """Maintainer scripts of backendai-ctl, run on a folder instead of a host."""

    root: Path
    facts: Facts

    def run(self, moment: str, *words: str) -> str:
        """Run one and give what it called; it always ends well."""
        text = (PACKAGING / "templates/maintainer.sh.j2").read_text("utf-8")
        environment = jinja2.Environment(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        paths = {k: getattr(self.facts.paths, k) for k in ("config", "state", "run", "volumes")}
        environment.filters["fill"] = lambda text: text.format_map(paths)
        script = environment.from_string(text).render(
            paths=paths,
            package="backendai-ctl",
            moment=moment,
            services=["backendai.target"],
            has_folders=False,
            configured=True,
            handler=True,
            marks=["{state}/ctl/ready/tunnel"],
            generated=generated(),
        )
        for path in ABSOLUTE:
            script = script.replace(f" {path}", f" {self.root}{path}")
        (self.root / "calls").write_text("")
        done = subprocess.run(
            ["/bin/sh", "-c", script, "script", *words],
            env={"PATH": f"{self.root}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return (self.root / "calls").read_text()

    def write(self, path: str | Path, text: str = files.HEAD) -> Path:
        made = self.root / str(path).lstrip("/")
        files.write(made, text)
        return made


@pytest.fixture
def scripts(facts: Facts, tmp_path: Path) -> Scripts:
    made = Scripts(tmp_path / "host", facts)
    for path in ("bin/systemctl", "bin/dpkg-trigger", "usr/bin/backendai-ctl"):
        call = f'#!/bin/sh\necho {Path(path).name} "$@" >>{made.root}/calls\n'
        made.write(path, call).chmod(0o755)
    (made.root / "run/systemd/system").mkdir(parents=True)
    return made


@pytest.mark.parametrize("what", ["remove", "deconfigure"])
def test_a_removal_that_is_called_off_is_pending(scripts: Scripts, facts: Facts, what: str) -> None:
    ready = facts.paths.ctl / "ready/tunnel"
    files.write(ready, "what it was started with\n")
    assert "systemctl stop backendai.target" in scripts.run("preremove", what)
    assert not ready.exists()
    assert "dpkg-trigger --no-await backendai-configure" in scripts.run(
        "postinstall", f"abort-{what}"
    )
    assert (facts.paths.ctl / "pending").exists()
    assert not ready.exists()  # empty, it would be no new service, and left disabled


def test_installing_this_package_alone_again_asks_for_the_trigger(
    scripts: Scripts, facts: Facts
) -> None:
    assert "dpkg-trigger" in scripts.run("postinstall", "configure", "26.9.6-1")
    assert (facts.paths.ctl / "pending").read_text() == ""
    calls = scripts.run("postinstall", "triggered", "backendai-configure")
    assert calls == "backendai-ctl hook triggered backendai-ctl\n"
    assert scripts.run("postinstall", "abort-upgrade", "26.9.6-2") == ""


def test_what_cannot_be_removed_fails_no_package_manager(scripts: Scripts, facts: Facts) -> None:
    (facts.paths.ctl / "ready/tunnel").mkdir(parents=True)
    failing = scripts.write("bin/rm", "#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    scripts.run("preremove", "remove")
    scripts.write("etc/systemd/system/vfroot-volume1.mount")
    scripts.run("postremove", "purge")


def test_purge_knows_what_steps_write_outside_of_our_folders(facts: Facts, ctx: Context) -> None:
    drop_in = "/etc/systemd/system/{}.d/{}"
    paths = [
        drop_in.format(prepare_cache.UNIT, prepare_cache.DROP_IN),
        drop_in.format(prepare_etcd.UNIT, prepare_etcd.DROP_IN),
        drop_in.format(prepare_database.UNIT, prepare_database.NAME),
        f"/etc/postgresql/17/main/conf.d/{prepare_database.NAME}",
        f"/etc/postgresql/17/main/{prepare_database.RULES}",
        str(exports.FILE),
        str(exports.SETTINGS),
        str(prepare_cache.config(ctx)),
    ]
    given = [path.format(config=facts.paths.config, state="") for path in generated()]
    assert [p for p in paths if not any(fnmatch(p, pattern) for pattern in given)] == []


def test_purge_removes_what_is_ours_outside(scripts: Scripts, facts: Facts) -> None:
    system = "etc/systemd/system"
    link = scripts.write(f"{system}/multi-user.target.wants/srv-a\\x2db.automount")
    ours = [
        link,
        scripts.write(f"{system}/srv-a\\x2db.mount"),
        scripts.write(f"{system}/srv-a\\x2db.automount"),
        scripts.write(f"{system}/backendai-volumes@.service"),
        scripts.write(f"{system}/backendai-firewall.service", "# Written by backendai-ctl node\n"),
        scripts.write(f"{system}/etcd.service.d/backendai.conf"),
        scripts.write("etc/postgresql/17/main/conf.d/backendai.conf"),
        scripts.write("etc/postgresql/17/main/backendai_hba.conf"),
    ]
    theirs = [
        scripts.write(f"{system}/srv-c.mount", "[Mount]\n"),
        scripts.write(f"{system}/valkey-server.service.d/limits.conf", "[Service]\n"),
        scripts.write("etc/postgresql/17/main/pg_hba.conf", "local all all peer\n"),
    ]
    files.write(facts.paths.ctl / "rpcbind-masked", "")
    scripts.run("postremove", "remove")
    assert all(path.exists() for path in ours)
    calls = scripts.run("postremove", "purge").splitlines()
    assert [path for path in ours if path.exists()] == []
    assert all(path.exists() for path in theirs)
    assert not (scripts.root / system / "etcd.service.d").exists()
    assert "systemctl stop srv-a\\x2db.mount" in calls
    assert "systemctl --no-reload unmask rpcbind.socket rpcbind.service" in calls
    assert calls[-1] == "systemctl daemon-reload"
