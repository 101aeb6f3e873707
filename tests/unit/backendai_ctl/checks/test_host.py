"""Promises of backendai_ctl.checks.host, on files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.checks import host
from backendai_ctl.context import Context
from backendai_ctl.site.schema import Site


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that is no container; its /proc and /sys/fs/cgroup are below the folder given."""
    for name, attribute in (("proc", "PROC"), ("cgroup", "CGROUP")):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(host, attribute, tmp_path / name)
    monkeypatch.setattr(host, "CONTAINER", tmp_path / "container")
    return tmp_path


@pytest.mark.parametrize(
    ("total", "level"), [(3_000_000, "fail"), (4_800_000, "warn"), (8_000_000, "ok")]
)
def test_memory_is_held_against_what_runs_here(
    ctx: Context, machine: Path, total: int, level: str
) -> None:
    (machine / "proc/meminfo").write_text(f"MemTotal: {total} kB\nMemAvailable: 1000000 kB\n")
    assert host.memory(ctx).level == level
    for name in ctx.facts.installed():
        if name != "agent":
            (ctx.paths.units / ctx.facts.components[name].unit).unlink()
    assert host.memory(ctx).level == "ok"  # a node with nothing but an agent needs less


@pytest.mark.parametrize(
    ("flags", "saw"),
    [
        ("fpu sse2", "x86-64-v1"),
        ("sse4_2 ssse3 popcnt cx16", "x86-64-v2"),
        ("sse4_2 ssse3 popcnt cx16 avx2 bmi2 fma movbe", "x86-64-v3"),
    ],
)
def test_the_processors_level_is_told(ctx: Context, machine: Path, flags: str, saw: str) -> None:
    (machine / "proc/cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    found = host.cpu_level(ctx)
    assert (found.message, found.level) == (saw, "warn" if saw.endswith("1") else "ok")


def test_what_a_container_cannot_know_is_skipped(ctx: Context, machine: Path) -> None:
    (machine / "cgroup/cgroup.controllers").write_text("hugetlb\n")
    (machine / "proc/filesystems").write_text("nodev\tproc\n")
    assert [host.cgroups(ctx).level, host.overlay(ctx).level] == ["warn", "fail"]
    (machine / "container").write_text("systemd-nspawn\n")
    (ctx.paths.share / "release.json").touch()
    found = [host.cgroups(ctx), host.overlay(ctx), host.clock(ctx)]
    assert [result.level for result in found] == ["skip"] * 3


def test_control_groups_with_all_controllers_are_fine(ctx: Context, machine: Path) -> None:
    assert host.cgroups(ctx).message == "version 1"
    (machine / "cgroup/cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids rdma\n")
    assert host.cgroups(ctx).level == "ok"


def test_a_kernel_setting_below_the_packages_is_told(
    ctx: Context, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "wanted.conf").write_text(
        "# why\nnet.core.somaxconn = 1024\nnet.ipv4.tcp_rmem = 4096 100 200\n"
    )
    monkeypatch.setattr(host, "SYSCTLS", machine / "wanted.conf")
    for name, value in (
        ("net/core/somaxconn", "4096\n"),
        ("net/ipv4/tcp_rmem", "4096\t100\t300\n"),
    ):
        path = machine / "proc/sys" / name
        path.parent.mkdir(parents=True)
        path.write_text(value)
    assert host.sysctls(ctx).level == "ok"
    (machine / "proc/sys/net/core/somaxconn").write_text("128\n")
    assert host.sysctls(ctx).message == "net.core.somaxconn is 128"


def test_a_clock_before_the_release_is_a_fault(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ctx.paths.share / "release.json").touch()
    monkeypatch.setattr(host.time, "time", lambda: 0.0)
    assert "1970-01-01" in host.clock(ctx).message


def test_disks_are_measured_where_state_is(ctx: Context) -> None:
    found = host.sync_latency(ctx)
    assert found.message.endswith(f"in {ctx.paths.state}")
    assert list(ctx.paths.state.glob(".doctor-*")) == []


def test_places_are_named_once(ctx: Context) -> None:
    site = Site.model_validate(
        {"storage": {"default": "volume1", "volumes": {"volume1": {}, "home": {}}}}
    )
    named = host._places(Context(ctx.facts, site))
    assert {"volume1", "volume home"} <= set(named) and "volume volume1" not in named


def test_a_full_disk_is_a_fault(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(host.shutil.disk_usage("/"))
    monkeypatch.setattr(host.shutil, "disk_usage", lambda _: usage(10**11, 10**11, 5 * 10**8))
    found = host.disks(ctx)
    assert found.level == "fail"
    assert "0.5 GB free" in found.message
