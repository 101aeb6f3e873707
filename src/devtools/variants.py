"""The two variants of a build: what differs around them, as far as the machine lets.

A variant is a set of Linux namespaces: mounts, host name, network (none), processes. What is changed
inside is gone with them; the machine outside sees nothing of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.interpreters import find_python39

SHIFT = 9 * 366 * 86400  # seconds by which the second clock is ahead: about nine years
_UID = 4321
_NAMESPACES = ["--mount", "--propagation=private", "--uts", "--net", "--ipc", "--pid", "--fork"]


@dataclass(frozen=True)
class Machine:
    """What this machine allows."""

    root: bool
    namespaces: bool
    cores: tuple[int, ...]
    locales: tuple[str, ...]
    compiler: str  # path of cc, empty without one
    old_kernel: bool  # setarch can pretend to be Linux 2.6
    python39: str  # folder of a Python 3.9 of the machine's own, empty without one


@dataclass(frozen=True)
class Variant:
    """One build. Folders exist and belong to `user`; `dist` receives the artefacts."""

    name: str
    checkout: Path
    cache: Path
    home: Path
    temporary: Path
    dist: Path
    umask: str
    host: str
    domain: str
    in_memory: bool  # checkout on a tmpfs, its files created in reverse order
    moved_clock: bool
    old_kernel: bool
    core: int | None  # the only one it may use
    user: tuple[str, int] | None  # name and uid, when not the caller's
    data: str  # XDG_DATA_HOME, where the signing key is used: a short path, for gpg-agent's sockets
    env: dict[str, str] = field(default_factory=dict)
    passphrase: Path | None = (
        None  # a file with that of the signing key: words of a call are seen by all
    )


def probe_machine() -> Machine:
    """Try what can be varied here."""
    root = os.geteuid() == 0
    locales = _output("locale", "-a").split()
    python39 = find_python39()
    return Machine(
        root=root,
        namespaces=_works(*unshare(root), "mount", "-t", "tmpfs", "tmpfs", "/tmp"),
        cores=tuple(sorted(os.sched_getaffinity(0))),
        locales=tuple(locales),
        compiler=shutil.which("cc") or "",
        old_kernel=_works("setarch", "x86_64", "--uname-2.6", "true"),
        python39=str(python39.parent) if python39 else "",
    )


def unshare(root: bool) -> list[str]:
    """argv that runs the rest in new namespaces; without root inside a user namespace."""
    user = [] if root else ["--user", "--map-root-user"]
    return ["unshare", *user, *_NAMESPACES, "--kill-child=KILL", "--mount-proc"]


def foreign_locale(locales: tuple[str, ...]) -> str:
    """A locale unlike C.UTF-8: one of a language where one is installed, else plain C."""
    others = [name for name in locales if not name.startswith(("C", "POSIX"))]
    preferred = [name for name in others if name.startswith("tr")]  # whose i and I differ
    return (preferred or others or ["C"])[0]


def variants(scratch: Path, machine: Machine) -> tuple[Variant, Variant]:
    """The two variants below `scratch`, not yet made."""
    base = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    one, two = scratch / "a", scratch / "b"
    path = {key: os.environ[key] for key in ("SSL_CERT_FILE",) if key in os.environ}
    first = Variant(
        name="first",
        checkout=one / "src",
        cache=one / "cache",
        home=one / "home",
        temporary=one / "tmp",
        dist=one / "dist",
        umask="0022",
        host="alpha",
        domain="first.example",
        in_memory=False,
        moved_clock=False,
        old_kernel=False,
        core=None,
        user=None,
        data="/mnt" if machine.namespaces else str(one / "d"),
        env={
            **path,
            "PATH": ":".join(filter(None, [base, machine.python39])),
            "LC_ALL": "C.UTF-8",
            "LANG": "C.UTF-8",
            "TZ": "GMT+12",
            "PYTHONHASHSEED": "0",
        },
    )
    deep = two / "a checkout in a folder of a rather longer name".replace(" ", "-")
    language = foreign_locale(machine.locales)
    second = Variant(
        name="second",
        checkout=deep / "backendai",
        cache=two / "var" / "the-other-cache",
        home=two / "another-home",
        temporary=two / "temporary-files",
        dist=two / "dist",
        umask="0077",
        host="a-host-with-a-longer-name",
        domain="second.invalid",
        in_memory=machine.namespaces,
        moved_clock=bool(machine.namespaces and machine.compiler),
        old_kernel=machine.old_kernel,
        core=machine.cores[-1] if len(machine.cores) > 1 else None,
        user=("builder", _UID) if machine.root and machine.namespaces else None,
        data="/mnt" if machine.namespaces else str(two / "d"),
        env={
            **path,
            "PATH": ":".join([f"{two}/bin", *reversed(base.split(":"))]),
            "LC_ALL": language,
            "LANG": language,
            "LANGUAGE": "tr:fr",
            "TZ": "GMT-14",
            "PYTHONHASHSEED": "4711",
            "SOURCE_DATE_EPOCH": "1",
            "CI": "true",
            "BUILD_NUMBER": "1234567",
            "CFLAGS": "-O0 -g",
            "EDITOR": "false",
            "BACKENDAI_PYTHON39": "assembled",
        },
    )
    return first, second


def script(
    variant: Variant, machine: Machine, sources: Path, clock: Path, probe: Path, specs: list[str]
) -> str:
    """The shell program that is run in the variant's namespaces: prepare it, look around, build.

    `sources` is a script that copies the sources, `clock` the library that moves the clock, `probe`
    a program that prints what is seen; its output goes to `dist/../seen.json`.
    """
    quote = shlex.quote
    checkout, dist = quote(str(variant.checkout)), quote(str(variant.dist))
    lines = ["set -eu"]
    if machine.namespaces:
        etc = quote(str(variant.temporary.parent / "etc"))
        lines += [
            "ip link set lo up 2>/dev/null || true",
            f"hostname {variant.host}",
            f"domainname {variant.domain} 2>/dev/null || true",
            # A copy of /etc of its own: names, users, and what every program preloads.
            f"mkdir {etc}",
            f"mount -t tmpfs -o mode=755 tmpfs {etc}",
            f"cp -a /etc/. {etc} 2>/dev/null || true",
            f"mount --bind {etc} /etc",
            f"echo '127.0.0.1 {variant.host}.{variant.domain} {variant.host} localhost' >/etc/hosts",
            f"mount -t tmpfs -o mode=700,uid={variant.user[1] if variant.user else 0} tmpfs {variant.data}",
        ]
    if variant.in_memory:
        lines.append(f"mount -t tmpfs -o size=1g,mode=755 tmpfs {checkout}")
    lines += [f"umask {variant.umask}", quote(str(sources)), f"mkdir -p {checkout}/dist"]
    if machine.namespaces:
        lines.append(f"mount --bind {dist} {checkout}/dist")
    if variant.user:
        name, uid = variant.user
        lines += [
            f"echo '{name}:x:{uid}:{uid}::{variant.home}:/bin/sh' >>/etc/passwd",
            f"echo '{name}:x:{uid}:' >>/etc/group",
            f"chown -R {uid}:{uid} {checkout}",
        ]
    if variant.moved_clock:
        # For all programs, in whatever environment they run: also Pants' sandboxes.
        lines += [
            f"echo {quote(str(clock))} >/etc/ld.so.preload",
            "chmod 0644 /etc/ld.so.preload",
        ]
    seen = quote(str(variant.dist.parent / "seen.json"))
    look = f"{quote(str(probe))} {checkout} {quote(str(variant.cache))} >{seen}"
    build = f"./pants {shlex.join(['package', *specs])}"
    if variant.passphrase:
        build += f" 3<{quote(str(variant.passphrase))}"
    inner = f"umask {variant.umask}; cd {checkout}; {build}; {look}"
    lines.append(f"exec {shlex.join(enter(variant))} sh -euc {quote(inner)}")
    return "\n".join(lines) + "\n"


def enter(variant: Variant) -> list[str]:
    """argv that becomes the variant's user, on its cores, with its environment and no other."""
    argv: list[str] = []
    if variant.user:
        uid = str(variant.user[1])
        argv += ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--no-new-privs"]
    if variant.core is not None:
        argv += ["taskset", "--cpu-list", str(variant.core)]
    # -R: no random addresses in one of the two.
    argv += (
        ["setarch", "x86_64", "--uname-2.6"] if variant.old_kernel else ["setarch", "x86_64", "-R"]
    )
    env = {
        **variant.env,
        "HOME": str(variant.home),
        "TMPDIR": str(variant.temporary),
        "XDG_DATA_HOME": variant.data,
        "BACKENDAI_CACHE": str(variant.cache),
        "PANTS_PANTSD": "false",
        "PANTS_PROCESS_EXECUTION_LOCAL_PARALLELISM": "1" if variant.core is not None else "4",
    }
    return [*argv, "env", "-i", *(f"{key}={value}" for key, value in sorted(env.items()))]


def _works(*argv: str) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _output(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
