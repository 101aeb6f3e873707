"""Mount units: right by systemd's own judgement, and in nobody's way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.facts import Facts
from backendai_ctl.platform import systemd, units
from backendai_ctl.platform.run import Done
from backendai_ctl.site.schema import Site, Storage, Volume
from backendai_ctl.storage import mounts, refusals
from backendai_ctl.topology.places import Place, places

NAS = Volume(
    kind="nfs", server="nas.example", export=Path("/srv/vf"), path=Path("/data/big-disk/a.b")
)


@pytest.fixture
def nfs(facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    return Context(facts, Site(storage=Storage(volumes={"here": Volume(), "nas": NAS})))


@pytest.mark.parametrize(
    "path", ["/vfroot/volume1", "/data/big-disk/a.b", "/.hidden/x", "/srv/été_1:2", "/a//b/"]
)
def test_names_are_those_of_systemd(path: str) -> None:
    name = mounts.unit_name(Place("x", NAS, Path(path)))
    if not shutil.which("systemd-escape"):
        pytest.skip("no systemd-escape here")
    call = ["systemd-escape", "--path", "--suffix=mount", path]
    assert name == subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()


def test_systemd_finds_no_fault_in_the_unit(nfs: Context, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    (place,) = mounts.remote(nfs)
    file = mounts.unit(place)
    units.write([file])
    call = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file.path)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    bad = file.path.with_name("data-wrong.mount")
    bad.write_text(file.text)
    call[-1] = str(bad)
    assert subprocess.run(call, capture_output=True, check=False).returncode != 0


def test_nothing_but_the_services_with_volumes_waits_for_the_server(nfs: Context) -> None:
    (place,) = mounts.remote(nfs)
    text, woken = mounts.unit(place).text, mounts.automount(place).text
    for either in (text, woken):
        assert "DefaultDependencies=no" in either  # else remote-fs.target, and the boot, would wait
        assert "Before=umount.target" in either
    assert f"TimeoutSec={mounts.MOUNT_TIMEOUT}" in text
    assert "What=nas.example:/srv/vf" in text
    assert "[Install]" not in text  # a boot starts the .automount, which asks nobody
    assert "WantedBy=multi-user.target" in woken
    assert (
        "\nOptions=vers=4.2,hard,timeo=100,retrans=3,retry=0,nodev,nosuid,nofail,_netdev\n" in text
    )


def test_services_require_their_volumes_and_start_when_these_are_there(nfs: Context) -> None:
    found = {
        file.path.relative_to(units.FOLDER).parts[0]: file.text for file in mounts.drop_ins(nfs)
    }
    retry = found.pop(mounts.RETRY_UNIT)
    assert set(found) == {"backendai-agent.service.d", "backendai-storage-proxy.service.d"}
    for drop_in in found.values():
        assert "RequiresMountsFor=/data/big-disk/a.b\n" in drop_in
        assert "OnFailure=backendai-volumes@%N.service\n" in drop_in
    assert "ExecStart=/usr/bin/systemctl start data-big\\x2ddisk-a.b.mount\n" in retry
    assert "ExecStart=/usr/bin/systemctl start --no-block %i.service\n" in retry
    assert "Restart=on-failure\n" in retry


def test_an_automount_that_waits_is_no_mount(
    nfs: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place,) = mounts.remote(nfs)
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "MOUNTS", table)
    waits = f"40 1 0:40 / {place.path} rw shared:1 - autofs systemd-1 rw,fd=40\n"
    table.write_text(waits)
    assert mounts.now(place) == ()
    table.write_text(
        f"{waits}41 40 0:41 / {place.path} rw,nodev - nfs4 nas.example:/srv/vf ro,hard\n"
    )
    assert mounts.now(place) == ("nas.example:/srv/vf", {"rw", "nodev", "ro", "hard"})
    assert mounts.mounted(place)


def test_a_host_without_remote_volumes_has_no_drop_ins(ctx: Context) -> None:
    assert mounts.drop_ins(ctx) == []
    assert mounts.remote(ctx) == []


def test_a_failed_mount_is_pending_with_the_words_of_mount(
    nfs: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place,) = mounts.remote(nfs)
    monkeypatch.setattr(mounts, "HELPER", Path("/"))
    monkeypatch.setattr(refusals, "unresolved", lambda _place: None)
    log = "Mounting...\nmount.nfs: Connection refused for nas\nFailed to mount.\n"
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(
        mounts, "run", lambda argv, **_: Done(int(argv[1] == "start"), log, "failed")
    )
    monkeypatch.setattr(systemd, "properties", lambda *_: {"Result": "exit-code"})
    with pytest.raises(
        Pending, match=r"nas\.example:/srv/vf.*Connection refused for nas"
    ) as caught:
        mounts.mount(place)
    assert "once it answers" in caught.value.hint
    monkeypatch.setattr(systemd, "properties", lambda *_: {"Result": "timeout"})
    with pytest.raises(Pending, match="did not answer within 30 s"):
        mounts.mount(place)


def test_without_the_tools_of_nfs_their_package_is_named(
    nfs: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(mounts, "HELPER", Path("/nonexistent"))
    with pytest.raises(Pending) as caught:
        mounts.mount(mounts.remote(nfs)[0])
    assert "backendai-nfs" in (caught.value.hint or "")


def test_without_systemd_the_mount_waits_for_the_boot(
    nfs: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: False)
    with pytest.raises(Pending, match="next boot"):
        mounts.mount(mounts.remote(nfs)[0])


@pytest.mark.parametrize(
    ("options", "only"),
    [
        ("vers=4.2,hard", True),
        ("hard,nfsvers=4", True),
        ("vers=3", False),
        ("hard", False),
        ("vers=40", False),
    ],
)
def test_which_options_rule_nfs_3_out(options: str, only: bool) -> None:
    volume = NAS.model_copy(update={"options": options})
    assert mounts.only_v4(Place("x", volume, Path("/x"))) is only


def test_mounted_is_what_the_kernel_says() -> None:
    assert mounts.mounted(Place("proc", NAS, Path("/proc")))
    assert not mounts.mounted(Place("x", NAS, Path("/proc/self")))


def test_places_default_to_the_folder_of_volumes(nfs: Context) -> None:
    assert [place.path for place in places(nfs)] == [nfs.paths.volumes / "here", NAS.path]
