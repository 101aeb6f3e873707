"""Throw-away systemd hosts as objects: boot one, run commands in it, it goes down.

    with boot(root, binds={dist: "/dist"}) as host:
        host.check(["systemctl", "is-system-running"])

A host is offline (only ``lo``), its root is a cached tree under an overlay in memory, and
every command is a transient service of its own PID 1. Hosts end with the ``with`` block,
at their life time, and when the test run is killed.
"""

from __future__ import annotations

import itertools
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TESTHOST = Path(__file__).resolve().parent / "testhost"
BOOT_TIMEOUT = 180  # seconds; 1-2 are normal, a loaded machine needs more
LIFETIME = 7200  # seconds a host lives at most; those of a whole site serve many tests
STOP_TIMEOUT = 30
COMMAND_TIMEOUT = 120
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "SYSTEMD_PAGER": "",
    "TERM": "dumb",
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_numbers = itertools.count(1)


class HostError(Exception):
    """A host did not boot, a command failed or took too long."""


@dataclass(frozen=True)
class Result:
    """What one command in a host gave. Output is text, undecodable bytes replaced."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def __str__(self) -> str:
        shown = " ".join(self.argv)
        shown = shown if len(shown) < 400 else f"{shown[:400]}..."
        parts = [f"exit {self.returncode} after {self.seconds:.1f} s: {shown}"]
        for name, text in (("stdout", self.stdout), ("stderr", self.stderr)):
            if text.strip():
                parts.append(f"--- {name}\n{_tail(text)}")
        return "\n".join(parts)


@dataclass
class Host:
    """A running host. ``leader`` is its PID 1 as this machine counts."""

    name: str
    leader: int
    state: str
    process: subprocess.Popen[str] = field(repr=False)

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        properties: Sequence[str] = (),
        timeout: float = COMMAND_TIMEOUT,
    ) -> Result:
        """Run ``argv`` in the host and wait for it, at most ``timeout`` seconds.

        ``properties`` are settings of the command's unit, such as ``BindPaths=A:B``.
        Raises HostError when the time is over; any exit status is a Result.
        """
        unit = f"testcmd-{next(_numbers)}.service"
        call = [*self._enter(), *_service(unit, argv, user, env, cwd, properties)]
        began = time.monotonic()
        with subprocess.Popen(
            call,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as client:
            late = False
            try:
                out, err = client.communicate(stdin or "", timeout=timeout)
            except subprocess.TimeoutExpired:
                late = True
                out, err = self._abandon(unit, client)
        seconds = time.monotonic() - began
        result = Result(tuple(argv), client.returncode, out, err, seconds)
        if late:
            raise HostError(f"{self.name}: not done after {timeout} s, killed\n{result}")
        return result

    def check(self, argv: Sequence[str], **options: object) -> Result:
        """As ``run``, but a failing command raises HostError with its output."""
        result = self.run(argv, **options)  # type: ignore[arg-type]
        if result.returncode:
            raise HostError(f"{self.name}: {result}")
        return result

    def sh(self, script: str, **options: object) -> str:
        """Run a shell script that must succeed; its standard output, stripped."""
        return self.check(["/bin/sh", "-euc", script], **options).stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file in the host; its folder is made."""
        self.check(
            ["/bin/sh", "-euc", 'mkdir -p "$(dirname "$1")"; cat >"$1"', "sh", path], stdin=text
        )

    def starts(self, *patterns: str) -> dict[str, str]:
        """When each unit whose name fits a pattern was last started; systemd lists them in no order."""
        told = self.check(
            ["systemctl", "show", *patterns, "-p", "Id,ExecMainStartTimestampMonotonic"]
        )
        units = (
            dict(line.split("=", 1) for line in unit.splitlines())
            for unit in told.stdout.split("\n\n")
        )
        return {unit["Id"]: unit["ExecMainStartTimestampMonotonic"] for unit in units}

    def files(self) -> frozenset[str]:
        """Every path of the host's root file system (mounts such as /run and /tmp aside)."""
        return frozenset(self.check(["find", "/", "-xdev"]).stdout.splitlines())

    def stop(self) -> None:
        """Power the host off; kill what does not end in time."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _enter(self) -> list[str]:
        enter = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        return [*enter, "env", "-i", f"PATH={_PATH}", "LANG=C.UTF-8", "SYSTEMD_PAGER="]

    def _abandon(self, unit: str, client: subprocess.Popen[str]) -> tuple[str, str]:
        # The client ends by itself once its unit is gone. Killed first, it would stay behind
        # as an unreaped process of the host and delay its shutdown.
        call = [*self._enter(), "systemctl", "kill", "--signal=KILL", unit]
        subprocess.run(call, capture_output=True, timeout=STOP_TIMEOUT, check=False)
        try:
            return client.communicate(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            client.kill()
            return client.communicate()


@contextmanager
def boot(
    root: Path,
    *,
    name: str = "testhost",
    binds: Mapping[Path, str] | None = None,
    writable: Mapping[Path, str] | None = None,
    netns: str | None = None,
    privileged: bool = False,
    upper: Path | None = None,
    life: int = LIFETIME,
) -> Iterator[Host]:
    """A host on ``root`` (an unpacked tree, never changed), up until the block ends.

    ``binds``/``writable``: folder of this machine -> path in the host. ``netns``: join a
    network namespace instead of being alone. ``upper``: keep what the host writes there
    instead of in memory. Raises HostError if it does not boot.
    """
    call = [str(TESTHOST), "-S", "-r", str(root), "-N", name, "-t", str(life)]
    for flag, mounts in (("-b", binds), ("-B", writable)):
        for source, target in (mounts or {}).items():
            call += [flag, f"{source}:{target}"]
    call += ["-n", netns] if netns else []
    call += ["-u", str(upper)] if upper else []
    call += ["-p"] if privileged else []
    process = subprocess.Popen(
        call,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    host = None
    try:
        host = _wait_ready(name, process)
        yield host
    finally:
        if host:
            host.stop()
        else:
            process.kill()
        process.communicate() if process.stdin and not process.stdin.closed else process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def namespace_name(host: str) -> str:
    """A name for a network namespace of ``host`` that no other of this run, or run, has."""
    return f"th{os.getpid()}-{next(_numbers)}-{host}"


@contextmanager
def link(names: Sequence[str] = ("hosta", "hostb")) -> Iterator[dict[str, str]]:
    """Two network namespaces joined by a cable, 10.98.0.1 and 10.98.0.2, and nothing else.

    Gives {host name: network namespace}, for ``boot(..., netns=...)``.
    """
    spaces = {name: namespace_name(name) for name in names}
    ends = [f"th{os.getpid() % 100000}{letter}" for letter in "ab"]
    try:
        for space in spaces.values():
            _ip("netns", "add", space)
        one, two = spaces.values()
        _ip("link", "add", ends[0], "netns", one, "type", "veth", "peer", ends[1], "netns", two)
        for number, (space, end) in enumerate(zip(spaces.values(), ends, strict=True), 1):
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "link", "set", end, "up")
            _ip("-n", space, "addr", "add", f"10.98.0.{number}/24", "dev", end)
        yield spaces
    finally:
        for space in spaces.values():
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _wait_ready(name: str, process: subprocess.Popen[str]) -> Host:
    assert process.stdout and process.stderr
    ready, _, _ = select.select([process.stdout], [], [], BOOT_TIMEOUT)
    line = process.stdout.readline() if ready else ""
    words = line.split()
    if len(words) != 3 or words[0] != "ready":
        process.kill()
        raise HostError(f"{name} did not boot\n{_tail(process.stderr.read())}")
    return Host(name, _outer_pid(process.pid, words[1]), words[2], process)


def _outer_pid(ancestor: int, inner: str) -> int:
    """The process below ``ancestor`` that is ``inner`` in testhost's process namespace."""
    pending = [ancestor]
    while pending:
        pid = pending.pop()
        status = Path(f"/proc/{pid}/status").read_text()
        ids = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid"))
        if len(ids) > 2 and ids[-1] == "1" and ids[-2] == inner:
            return pid
        pending += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    raise HostError(f"no process {inner} below {ancestor}")


def _service(
    unit: str,
    argv: Sequence[str],
    user: str | None,
    env: Mapping[str, str] | None,
    cwd: str | None,
    properties: Sequence[str],
) -> list[str]:
    call = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={unit}"]
    call += ["--service-type=exec", "--property=TimeoutStopSec=5"]
    call += [f"--uid={user}"] if user else []
    call += [f"--working-directory={cwd}"] if cwd else []
    call += [f"--property={setting}" for setting in properties]
    call += [f"--setenv={key}={value}" for key, value in {**ENVIRONMENT, **(env or {})}.items()]
    # The host's systemd expands ${NAME} in arguments; a doubled dollar stays a dollar.
    return [*call, "--", *(word.replace("$", "$$") for word in argv)]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _tail(text: str, lines: int = 40) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])
