"""Keeps a server: passes signals on, tells systemd when it is well, ends when it ends.

READY=1 goes out with the first good answer of the health URL, then WATCHDOG=1 with every further
one. Being the main process of the unit, the keeper needs no `NotifyAccess=all`, by which any process
of the service could speak for it. With KillMode=mixed systemd sends SIGTERM to the keeper alone, and
SIGKILL to whatever is left once the keeper, and so the server, is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket

from backendai_serve import health

POLL = 0.5  # seconds between looks until the server is well
CALM = 10.0  # seconds between looks afterwards, at most
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
AWAITED = {*PASSED_ON, signal.SIGCHLD}


def fork() -> int:
    """Fork the server: its process in the keeper, 0 in the server.

    The server has a process group of its own, because it may send signals to all of its group.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    server = os.fork()
    if not server:
        os.setpgid(0, 0)
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
    return server


def keep(server: int, url: str) -> int:
    """Stay until the server is gone; its exit status, or 128 and the number of what killed it.

    Without a health URL it counts as well at once.
    """
    calm = min(CALM, int(os.environ.get("WATCHDOG_USEC", "0")) / 3e6 or CALM)
    ready, said, pause = False, "", 0.0
    while True:
        status = _wait(server, pause)
        if status is not None:
            return status
        fault = health.fault(url) if url else ""
        lines = [] if fault else ["WATCHDOG=1"] if ready else ["READY=1", "WATCHDOG=1"]
        if (fault or "healthy") != said:
            said = fault or "healthy"
            lines.append(f"STATUS={said}")
        notify("\n".join(lines))
        ready = ready or not fault
        pause = POLL if fault else calm


def _wait(server: int, seconds: float) -> int | None:
    """Pass signals on for this long at most; the server's exit status once it is gone."""
    caught = signal.sigtimedwait(AWAITED, seconds)
    while caught is not None:
        if caught.si_signo == signal.SIGCHLD:
            gone, status = os.waitpid(server, os.WNOHANG)
            if gone:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        else:
            if caught.si_signo == signal.SIGTERM:
                notify("STOPPING=1")
            with contextlib.suppress(ProcessLookupError):
                os.kill(server, caught.si_signo)
        caught = signal.sigtimedwait(AWAITED, 0)
    return None


def notify(text: str) -> None:
    """Send to systemd (sd_notify(3)), where it listens; what cannot be sent is lost, the next will do."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not text or not address:
        return
    path = f"\0{address[1:]}" if address.startswith("@") else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        sender.sendto(text.encode(), path)
