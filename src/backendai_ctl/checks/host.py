"""Checks of the machine and its kernel: processors, memory, disks, clock, control groups."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.facts import Component
from backendai_ctl.platform import clock as time_of_host
from backendai_ctl.probes import servers
from backendai_ctl.result import Result, fail, ok, skip, warn, worst
from backendai_ctl.topology import container_engine, layout
from backendai_ctl.topology.places import places

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
CONTAINER = Path("/run/systemd/container")  # written by systemd when it is a container's init
SYSCTLS = Path("/usr/lib/sysctl.d/60-backendai.conf")

SYSTEM = 1000  # MB for the kernel, the system and its caches
LEVELS = {  # x86-64 micro-architecture levels, by some flags that only they have
    4: {"avx512f", "avx512bw", "avx512vl"},
    3: {"avx2", "bmi2", "fma", "movbe"},
    2: {"sse4_2", "ssse3", "popcnt", "cx16"},
}
CONTROLLERS = {"cpu", "cpuset", "io", "memory", "pids"}
OLD_KERNEL = (5, 4)
SLOW_SYNC = 10.0  # milliseconds; etcd's own bound for the disk it writes to
STA_UNSYNC = 0x0040  # adjtimex(2)


def in_container() -> bool:
    """Whether this host shares its kernel with the machine it runs on."""
    return CONTAINER.exists()


def cpus(_ctx: Context) -> Result:
    count = len(os.sched_getaffinity(0))
    saw = f"{count} usable"
    return ok(saw) if count >= 2 else warn(saw, "give this host two cores or more")


def cpu_level(_ctx: Context) -> Result:
    machine = platform.machine()
    if machine != "x86_64":
        return fail(f"{machine}", "install on an x86-64 machine: the packages are built for it")
    flags = _flags((PROC / "cpuinfo").read_text())
    level = next((level for level, needed in LEVELS.items() if needed <= flags), 1)
    saw = f"x86-64-v{level}"
    return ok(saw) if level > 1 else warn(saw, "let the virtual machine have the host's CPU type")


def memory(ctx: Context) -> Result:
    total = _meminfo("MemTotal") / 1000
    services = sum(one.resident for one in _running_here(ctx))
    need, roomy = SYSTEM + services, SYSTEM + 2 * services
    saw = f"{total / 1000:.1f} GB, {_meminfo('MemAvailable') / 1e6:.1f} GB of it available"
    if total < need:
        return fail(saw, f"what is installed here takes {need / 1000:.1f} GB: add memory")
    if total < roomy:
        return warn(saw, f"{roomy / 1000:.0f} GB leave room for load and caches")
    return ok(saw)


def disks(ctx: Context) -> Result:
    """Space and inodes of every file system that something of ours grows on."""
    seen: dict[int, tuple[str, Path]] = {}
    for name, place in _places(ctx).items():
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        names, _ = seen.get(there.stat().st_dev, ("", there))
        seen[there.stat().st_dev] = (f"{names}, {name}" if names else name, there)
    results = [_space(names, place) for names, place in seen.values()]
    return worst(results, fine="; ".join(result.message for result in results))


def _space(names: str, place: Path) -> Result:
    usage, inodes = shutil.disk_usage(place), os.statvfs(place)
    free = usage.free / 1e9
    saw = f"{free:.1f} GB free for {names}"
    if inodes.f_flag & os.ST_RDONLY:
        return fail(f"{names}: read-only", f"mount it writable: {place}")
    if free < 1:
        return fail(saw, f"free space in {place}")
    if free < 10:
        return warn(saw, "databases, images and dumps before migrations need 10 GB or more")
    if inodes.f_files and inodes.f_ffree < inodes.f_files / 50:
        return warn(f"{names}: {inodes.f_ffree} inodes left", f"remove some files: {place}")
    return ok(saw)


def sync_latency(ctx: Context) -> Result:
    """Median of some fdatasync(2) of 8 kB where state is kept."""
    folder = ctx.paths.state if ctx.paths.state.is_dir() else Path("/var/lib")
    taken: list[float] = []
    until = time.monotonic() + 2
    with tempfile.TemporaryFile(dir=folder, prefix=".doctor-") as stream:
        while len(taken) < 30 and time.monotonic() < until:
            os.pwrite(stream.fileno(), b"\xa5" * 8192, 8192 * len(taken))
            began = time.perf_counter()
            os.fdatasync(stream.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    median = statistics.median(taken)
    saw = f"{median:.1f} ms median, {max(taken):.1f} ms at most, in {folder}"
    if median > SLOW_SYNC:
        return warn(saw, "put /var/lib on a faster disk: an SSD of its own")
    return ok(saw)


def clock(ctx: Context) -> Result:
    if shown := time_of_host.behind(ctx.paths.share):
        return fail(f"{shown}: before this release was made", "set the clock: timedatectl set-time")
    if in_container():
        return skip("a container has the clock of its machine")
    status, error = _adjtimex()
    if status is None:
        return skip("the kernel does not report it")
    if status & STA_UNSYNC:
        return warn(
            "not synchronised", "run a time service: apt install chrony, or set NTP servers"
        )
    return ok(f"synchronised, off by {error / 1000:.0f} ms at most")


def kernel(_ctx: Context) -> Result:
    release = platform.release()
    digits = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    return ok(release) if digits >= OLD_KERNEL else warn(release, "run a kernel of 5.4 or newer")


def cgroups(_ctx: Context) -> Result:
    listed = CGROUP / "cgroup.controllers"
    if not listed.exists():
        return warn("version 1", "boot with systemd.unified_cgroup_hierarchy=1")
    missing = CONTROLLERS - set(listed.read_text().split())
    if missing and in_container():
        return skip("a container has no controllers of its own")
    if missing:
        return warn(f"version 2 without {', '.join(sorted(missing))}", "enable them in the kernel")
    return ok("version 2 with all controllers")


def overlay(ctx: Context) -> Result:
    if not ctx.here("agent") and ctx.facts.installed():
        return skip("no agent on this host")
    if "\toverlay\n" in (PROC / "filesystems").read_text():
        return ok("overlayfs in the kernel")
    modules = Path("/lib/modules") / platform.release()
    if any(modules.glob("kernel/fs/overlayfs/overlay.ko*")):
        return ok("overlayfs as a module")
    if in_container():
        return skip("a container cannot load modules")
    return fail("no overlayfs", "use a kernel with overlayfs: Docker keeps images on it")


def user_namespaces(_ctx: Context) -> Result:
    allowed = int((PROC / "sys/user/max_user_namespaces").read_text())
    if allowed:
        return ok(f"up to {allowed}")
    return warn("none allowed", "sysctl user.max_user_namespaces=10000: our units are isolated so")


def sysctls(_ctx: Context) -> Result:
    """What the package's own file asks of the kernel, against what is."""
    if not SYSCTLS.exists():
        return skip(f"{SYSCTLS} is not installed")
    if in_container():
        return skip("a container has the settings of its machine")
    results = []
    for line in SYSCTLS.read_text().splitlines():
        key, equals, wanted = (part.strip() for part in line.partition("="))
        if not equals or key.startswith("#"):
            continue
        now = (PROC / "sys" / key.replace(".", "/")).read_text().split()
        below = any(int(a) < int(b) for a, b in zip(now, wanted.split(), strict=False))
        hint = f"run: sysctl -p {SYSCTLS}"
        results.append(warn(f"{key} is {' '.join(now)}", hint) if below else ok(key))
    return worst(results, fine="as the package sets them, or higher")


def _running_here(ctx: Context) -> list[Component]:
    """Components and servers of this host; before installation, all that roles bring."""
    known, components = ctx.facts.services(), ctx.facts.installed()
    local = [server.name for server in servers.needed(ctx) if server.unit]
    if not components:
        roles = ctx.facts.roles.values()
        components = tuple({name for role in roles for name in (*role.components, *role.servers)})
        local = [container_engine.NAME]
    return [known[name] for name in (*components, *local) if name in known]


def _places(ctx: Context) -> dict[str, Path]:
    # A look at a dead NFS server would hang: see the checks of storage.
    volumes = {_volume(p.name): p.path for p in places(ctx) if not p.remote}
    return {
        "system": Path("/"),
        "programs": ctx.paths.current.parent,
        "state": ctx.paths.state,
        "backups": ctx.paths.backups,
        **{name: ctx.paths.state / name for name in ctx.facts.servers if name in layout.TABLES},
        "images": container_engine.of(ctx.facts).data_root,
        **volumes,
    }


def _volume(name: str) -> str:
    """What a volume is called beside other places; the usual names say themselves what they are."""
    return name if name.startswith("volume") else f"volume {name}"


def _flags(cpuinfo: str) -> set[str]:
    line = next((row for row in cpuinfo.splitlines() if row.startswith("flags")), "")
    return set(line.partition(":")[2].split())


def _meminfo(key: str) -> int:
    """kB."""
    lines = (PROC / "meminfo").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
    return kib * 1024 // 1000


def _adjtimex() -> tuple[int | None, int]:
    """The kernel clock's status and greatest error (microseconds); None if it may not be asked."""

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_char * 256),
        )

    now = Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(now)) < 0:
        return None, 0
    return now.status, now.maxerror
