"""The check of one user on every node: what it does to a folder, and how it tells what is wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Accounts

from backendai_ctl.context import Context
from backendai_ctl.errors import OutOfTime, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.result import Result
from backendai_ctl.site.schema import Node, Site, Storage, Volume
from backendai_ctl.storage import access, mounts
from backendai_ctl.topology.places import Place, places

NAS = Volume(kind="nfs", server="nas", export=Path("/srv/a"))
FINE = {"failed": "", "uid": 1100, "gid": 1100}


def program(part: str, folder: Path) -> Any:
    call = [*access.PROGRAM, part, str(folder), "try-1"]
    return json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout)


def test_the_trial_does_what_services_do_and_leaves_nothing(tmp_path: Path) -> None:
    mine = {"uid": os.geteuid(), "gid": tmp_path.stat().st_gid}
    assert program("user", tmp_path) == {"failed": "", **mine}
    assert program("root", tmp_path) == {"failed": "", **mine}
    assert program("clean", tmp_path) == {"failed": ""}
    assert list(tmp_path.iterdir()) == []


def test_the_trial_names_the_step_that_failed(tmp_path: Path) -> None:
    told = program("user", tmp_path / "absent")
    assert (told["failed"], told["errno"]) == ("make", errno.ENOENT)


def test_what_a_trial_left_long_ago_is_removed_by_the_next(tmp_path: Path) -> None:
    for name in ("try-0", "other-0"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    program("user", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"try-1", "other-0"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("planted", ["open", "closed", "try-1"])
def test_root_follows_no_link_that_was_put_into_the_trial(tmp_path: Path, planted: str) -> None:
    volume, host = tmp_path / "volume", tmp_path / "host"
    (host / "open").mkdir(parents=True)
    (host / "closed").mkdir()
    place = volume / "try-1"
    for path in (place / "open", place / "closed"):
        path.mkdir(parents=True)
    where = place if planted == "try-1" else place / planted
    shutil.rmtree(where)
    where.symlink_to(host)
    for path in (volume, place, where):
        os.chown(path, 54321, 54321, follow_symlinks=False)
    told = program("root", volume)
    assert (told["failed"] != "", told["errno"]) == (True, errno.ELOOP)
    assert list(host.rglob("*/*")) == []


def test_nor_one_in_the_place_of_its_file(tmp_path: Path) -> None:
    """The one file that root makes has another name each time; this is what it was once."""
    target = tmp_path / "nologin"
    program("user", tmp_path)
    (tmp_path / "try-1/open/root").symlink_to(target)
    assert program("root", tmp_path)["failed"] == ""
    assert not target.exists()


@pytest.fixture
def remote(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> tuple[Context, Place]:
    site = Site(
        storage=Storage(volumes={"a": NAS}),
        nodes={"gpu1": Node(address="10.0.0.11", roles=["compute"])},
    )
    ctx = Context(facts, site, node="gpu1")
    monkeypatch.setattr(mounts, "now", lambda _place: ("nas:/srv/a", frozenset({"rw"})))
    return ctx, places(ctx)[0]


def told(
    remote: tuple[Context, Place],
    monkeypatch: pytest.MonkeyPatch,
    user: dict[str, object],
    root: dict[str, object],
) -> dict[str, Result]:
    answers = {"user": user, "root": root, "clean": {"failed": ""}}
    monkeypatch.setattr(access, "_run", lambda part, *_: answers[part])
    return {seen.name: seen for seen in access.of_volume(*remote)}


def test_all_is_well(remote: tuple[Context, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(remote, monkeypatch, FINE, FINE)
    assert {seen.level for seen in found.values()} == {"ok"}
    assert found["squash"].message == "root is bai 1100:1100 there"


def test_names_of_trials_cannot_be_known_before(
    remote: tuple[Context, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []

    def run(_part: str, _place: Place, name: str, _user: object) -> dict[str, object]:
        names.append(name)
        return FINE

    monkeypatch.setattr(access, "_run", run)
    for _ in range(2):
        access.of_volume(*remote)
    first, second = dict.fromkeys(names)
    assert first[:-32] == second[:-32] == ".backendai-check-gpu1-" and first != second


@pytest.mark.parametrize(
    ("user", "root", "what", "level", "saw", "hint"),
    [
        (
            {"failed": "make", "errno": errno.EACCES, "error": "Permission denied"},
            FINE,
            *("use", "fail", "bai (1100:1100) may not make: Permission denied"),
            "on nas: chown 1100:1100 /srv/a",
        ),
        (
            {"failed": "make", "errno": errno.EROFS, "error": "Read-only file system"},
            FINE,
            *("use", "fail", "nas:/srv/a is read-only", "on nas: export /srv/a with rw"),
        ),
        (
            {"failed": "", "uid": 65534, "gid": 65534},
            FINE,
            *("ids", "fail", "belongs to 65534:65534, not 1100:1100", "on nas: no all_squash"),
        ),
        (
            {"failed": "lock", "errno": errno.ENOLCK, "error": "No locks available"},
            FINE,
            *("use", "fail", "cannot lock: No locks available", "the server has to offer locks"),
        ),
        (
            FINE,
            {"failed": "", "uid": 0, "gid": 0},
            *("squash", "warn", "root of gpu1 is root on nas", "root_squash,anonuid=1100"),
        ),
        (
            FINE,
            {"failed": "enter", "errno": errno.EACCES, "error": "Permission denied"},
            *("squash", "fail", "root of gpu1 may not enter folders of bai", "anongid=1100"),
        ),
    ],
)
def test_what_is_wrong_is_named_with_node_and_number(
    remote: tuple[Context, Place],
    monkeypatch: pytest.MonkeyPatch,
    user: dict[str, object],
    root: dict[str, object],
    what: str,
    level: str,
    saw: str,
    hint: str,
) -> None:
    seen = told(remote, monkeypatch, user, root)[what]
    assert seen.level == level
    assert saw in seen.message
    assert hint in seen.hint


def test_a_server_that_hangs_is_an_answer_too(
    remote: tuple[Context, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> None:
        raise OutOfTime("python was not done")

    monkeypatch.setattr(access, "_run", hang)
    with pytest.raises(Problem, match=r"volume a \(nas:/srv/a\) on gpu1: answer: none within"):
        access.must_pass(*remote)


@pytest.mark.parametrize(
    ("now", "saw"),
    [
        ((), "is not mounted"),
        (("old:/srv/a", frozenset({"rw"})), "old:/srv/a is mounted, not nas:/srv/a"),
        (("nas:/srv/a", frozenset({"ro"})), "is mounted read-only"),
    ],
)
def test_another_mount_is_not_the_volume(
    remote: tuple[Context, Place], monkeypatch: pytest.MonkeyPatch, now: Any, saw: str
) -> None:
    monkeypatch.setattr(mounts, "now", lambda _place: now)
    (seen,) = access.of_volume(*remote)
    assert saw in seen.message and not seen.ok


def test_containers_run_as_the_services_user(ctx: Context) -> None:
    path = ctx.paths.config / "agent.toml"
    path.write_text("[container]\nkernel-gid = 1100\n")
    said = [(seen.level, seen.message) for seen in access.of_host(ctx)]
    assert said == [("ok", "bai is 1100:1100"), ("ok", "containers run as 1100:1100")]
    path.write_text("[container]\nkernel-uid = 1000\n")
    (seen,) = [seen for seen in access.of_host(ctx) if not seen.ok]
    assert seen.message == "containers run as 1000, not 1100"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_user_with_another_number_is_named(ctx: Context, host_accounts: Accounts) -> None:
    home = host_accounts.state
    host_accounts.set([f"bai:x:995:993::{home}:/usr/sbin/nologin"], ["bai:x:993:"])
    found = access.of_host(ctx)[0]
    assert (found.level, found.message) == ("fail", "bai is 995:993, not 1100:1100")
    assert "uid = 995, gid = 993" in found.hint and "userdel bai" in found.hint
