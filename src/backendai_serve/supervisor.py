"""Supervises a server: passes signals on, tells systemd when it is well, ends when it ends.

READY=1 goes out with the first good answer of the health URL, then WATCHDOG=1 with every further
one. A server that says itself why it does not serve now, such as a database that recovers, is at work,
and killed it would begin again: it may take longer than TimeoutStartSec= to start, and the watchdog
leaves it alone. One that says nothing gets neither.

Being the main process of the unit, the supervisor needs no `NotifyAccess=all`, by which any process of the
service could speak for it. With KillMode=mixed systemd sends its signal to the supervisor alone, and SIGKILL
to whatever is left once the supervisor, and so the server, is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket

from backendai_serve import health

POLL = 0.2  # seconds between looks until the server is well
CALM = 10.0  # seconds between looks afterwards, at most
LONGER = (
    1.1  # each such pause by the one before, where the server says why: its log has a line for each
)
MORE = 30  # seconds to start that it gets with each look; more than CALM and what a look takes
STOPS = (
    signal.SIGTERM,
    signal.SIGINT,
)  # by SIGINT PostgreSQL stops without waiting for its clients
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
AWAITED = {*PASSED_ON, signal.SIGCHLD}


def fork() -> int:
    """Fork the server: its process in the supervisor, 0 in the server.

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


def supervise(server: int, url: str) -> int:
    """Stay until the server is gone; its exit status, or 128 and the number of what killed it.

    One that ends by the signal with which it was told to stop, as etcd does, ended well: 0. Without a
    health URL it counts as well at once.
    """
    calm = min(CALM, int(os.environ.get("WATCHDOG_USEC", "0")) / 3e6 or CALM)
    ready, said, pause = False, "", 0.0
    while True:
        status = _wait(server, pause)
        if status is not None:
            return status
        fault = health.fault(url) if url else None
        lines = [] if fault or ready else ["READY=1"]
        if not fault or (ready and fault.own):
            lines.append("WATCHDOG=1")
        elif fault.own:
            lines.append(f"EXTEND_TIMEOUT_USEC={MORE * 1_000_000}")
        word = fault.text if fault else "healthy"
        if word != said:
            said = word
            lines.append(f"STATUS={said}")
        notify("\n".join(lines))
        ready = ready or not fault
        if not fault:
            pause = calm
        elif fault.own:
            pause = min(calm, max(POLL, pause * LONGER))
        else:
            pause = POLL


def _wait(server: int, seconds: float) -> int | None:
    """Pass signals on for this long at most; the server's exit status once it is gone.

    A server that was told to stop is awaited, and not looked at any more.
    """
    told: list[int] = []  # the signals by which it was to stop
    caught = signal.sigtimedwait(AWAITED, seconds)
    while caught is not None:
        if caught.si_signo == signal.SIGCHLD:
            gone, status = os.waitpid(server, os.WNOHANG)
            if gone:
                code = os.waitstatus_to_exitcode(status)
                if -code in told:
                    return 0
                return code if code >= 0 else 128 - code
        else:
            if caught.si_signo in STOPS:
                notify("STOPPING=1\nSTATUS=stopping")
                told.append(caught.si_signo)
            with contextlib.suppress(ProcessLookupError):
                os.kill(server, caught.si_signo)
        caught = signal.sigwaitinfo(AWAITED) if told else signal.sigtimedwait(AWAITED, 0)
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
