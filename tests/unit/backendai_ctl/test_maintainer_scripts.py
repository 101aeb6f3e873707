"""Maintainer scripts of backendai-ctl, run on a folder instead of a host."""

from __future__ import annotations

import ast
import os
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import jinja2
import pytest

from backendai_ctl.facts import Facts
from backendai_ctl.firewall import loaded
from backendai_ctl.platform import files
from backendai_ctl.services import dropins
from backendai_ctl.storage import exports

PACKAGING = Path(__file__).parents[3] / "packaging"
ABSOLUTE = (
    "/etc/",
    "/run/systemd/",
    "/usr/bin/",
    "/var/lib/systemd/",
)  # what scripts name by itself


def generated() -> list[str]:
    """What packaging/ctl/BUILD has a purge remove."""
    for node in ast.walk(ast.parse((PACKAGING / "ctl/BUILD").read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "generated":
            return [str(path) for path in ast.literal_eval(node.value)]
    raise AssertionError("no `generated`")


def package(server: str) -> dict[str, Any]:
    """What the BUILD file of a server makes of its package, by way of the macros."""
    made: dict[str, dict[str, Any]] = {}
    known: dict[str, Any] = {}
    for macros in ("macros.py", "server_macros.py"):
        exec((PACKAGING / macros).read_text("utf-8"), known)
    for name in ("backendai_server_tree", "rendered_file", "server_facts"):
        known[name] = lambda **_: None
    known["backendai_package"] = lambda *, name, **words: made.update({name: words})
    exec((PACKAGING / "servers" / server / "BUILD").read_text("utf-8"), known)
    return made[f"backendai-{server}"]


@dataclass(frozen=True)
class Scripts:
    """Maintainer scripts of backendai-ctl, run on a folder instead of a host."""

    root: Path
    facts: Facts

    def run(self, moment: str, *words: str, **given: Any) -> str:
        """Run one and give what it called; it always ends well. `given`: of another package."""
        text = (PACKAGING / "templates/maintainer.sh.j2").read_text("utf-8")
        environment = jinja2.Environment(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        paths = {k: getattr(self.facts.paths, k) for k in ("config", "state", "run", "volumes")}
        environment.filters["fill"] = lambda text: text.format_map(paths)
        script = environment.from_string(text).render(
            paths=paths,
            moment=moment,
            **{
                "package": "backendai-ctl",
                "services": ["backendai.target"],
                "has_folders": False,
                "configured": True,
                "handler": True,
                "plugin": False,
                "flags": ["{state}/ctl/ready/tls-proxy"],
                "generated": generated(),
                **given,
            },
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
    for path in ("bin/systemctl", "bin/dpkg-trigger", "bin/backendai-ctl", "usr/bin/backendai-ctl"):
        call = f'#!/bin/sh\necho {Path(path).name} "$@" >>{made.root}/calls\n'
        made.write(path, call).chmod(0o755)
    (made.root / "run/systemd/system").mkdir(parents=True)
    return made


@pytest.mark.parametrize("what", ["remove", "deconfigure"])
def test_a_removal_that_is_called_off_is_pending(scripts: Scripts, facts: Facts, what: str) -> None:
    ready = facts.paths.ctl / "ready/tls-proxy"
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
    (facts.paths.ctl / "ready/tls-proxy").mkdir(parents=True)
    failing = scripts.write("bin/rm", "#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    scripts.run("preremove", "remove")
    scripts.write("etc/systemd/system/vfroot-volume1.mount")
    scripts.run("postremove", "purge")


@pytest.mark.parametrize("word", ["remove", "0"])
def test_no_rules_of_the_firewall_outlive_who_keeps_them_true(scripts: Scripts, word: str) -> None:
    """rpm knows no purge, and `apt remove` is none: rules would go on closing ports of the whole host."""
    names = [loaded.UNIT, loaded.WATCH, loaded.TIMER, loaded.EARLIER]
    for name in (*names, "backendai-volumes@.service", "vfroot-home.mount"):
        scripts.write(f"etc/systemd/system/{name}")
    scripts.write("etc/systemd/system/backendai-theirs.service", "[Service]\n")
    calls = scripts.run("preremove", word).splitlines()
    stopped = [call.removeprefix("systemctl stop ") for call in calls if " stop " in call]
    assert stopped[0] == "backendai.target"
    assert stopped[1] == loaded.TIMER and sorted(stopped[1:]) == sorted(names)
    assert {f"systemctl --no-reload disable {name}" for name in names} < set(calls)
    assert not any(name in call for call in calls for name in ("volumes", "vfroot", "theirs"))
    for upgrade in ("upgrade", "1"):
        assert scripts.run("preremove", upgrade) == ""


def test_purge_knows_what_steps_write_outside_of_our_folders(facts: Facts) -> None:
    given = [path.format(config=facts.paths.config, state="") for path in generated()]
    paths = [str(exports.FILE), str(exports.SETTINGS)]
    assert [p for p in paths if not any(fnmatch(p, pattern) for pattern in given)] == []


def test_a_purge_of_a_server_knows_what_its_step_writes(facts: Facts) -> None:
    """Its files, its drop-in and its flag go; what it keeps stays, as databases are data."""
    for server in facts.servers.values():
        given = package(server.name)["generated"]
        paths = facts.paths
        filled = {path.format(config=paths.config, state=paths.state) for path in given}
        assert filled == {
            *(str(paths.config / path) for path in server.templates),
            str(dropins.path(server).parent),
            str(paths.ctl / "ready" / server.name),
        }


def test_purge_removes_what_is_ours_outside(scripts: Scripts, facts: Facts) -> None:
    system = "etc/systemd/system"
    link = scripts.write(f"{system}/multi-user.target.wants/srv-a\\x2db.automount")
    ours = [
        link,
        scripts.write(f"{system}/srv-a\\x2db.mount"),
        scripts.write(f"{system}/srv-a\\x2db.automount"),
        scripts.write(f"{system}/backendai-volumes@.service"),
        scripts.write(f"{system}/backendai-firewall.service", "# Written by backendai-ctl node\n"),
        scripts.write(f"{system}/backendai-tls-proxy.service.d/site.conf"),
        scripts.write(f"{system}/backendai-tunnel.service.d/site.conf"),
        scripts.write("var/lib/systemd/timers/stamp-backendai-upkeep.timer", ""),
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
    for name in ("tls-proxy", "tunnel"):
        assert not (scripts.root / system / f"backendai-{name}.service.d").exists()
    assert "systemctl stop srv-a\\x2db.mount" in calls
    assert "systemctl --no-reload unmask rpcbind.socket rpcbind.service" in calls
    assert calls[-1] == "systemctl daemon-reload"


PLUGIN = {
    **{"package": "backendai-accelerator-mock", "plugin": True, "handler": False},
    **{"services": [], "flags": [], "generated": []},
}


@pytest.mark.parametrize(
    ("words", "pending", "calls"),
    [
        (["remove"], True, ""),  # dpkg has a trigger
        (["0"], True, "backendai-ctl hook triggered backendai-accelerator-mock\n"),
        (["upgrade", "2"], False, ""),
        (["1"], False, ""),
        (["purge"], False, ""),  # it was removed before
    ],
    ids=str,
)
def test_a_plugin_that_goes_has_its_service_start_anew(
    scripts: Scripts, facts: Facts, words: list[str], pending: bool, calls: str
) -> None:
    facts.paths.ctl.mkdir(parents=True, exist_ok=True)
    assert scripts.run("postremove", *words, **PLUGIN) == calls
    assert (facts.paths.ctl / "pending").exists() is pending
