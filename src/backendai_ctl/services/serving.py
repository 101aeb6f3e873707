"""Run a server that the site brings along: its files, its unit; used by the step of each."""

from __future__ import annotations

import time
from typing import ClassVar

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import OwnServer
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.rendering.render import render_file
from backendai_ctl.services import dropins, state
from backendai_ctl.topology import holders, own_servers

TIMEOUT = 180  # seconds from start to healthy; a long recovery goes on without us
STOP_TIMEOUT = 150  # seconds; TimeoutStopSec= of its unit, and some more
STEP_TIMEOUT = TIMEOUT + STOP_TIMEOUT
POLL = 0.2  # seconds
_SHOWN = ("ActiveState", "Job", "StatusText", "NRestarts")
TRIES = 5  # restarts by systemd, each after a longer pause, within about 40 s


class Serve(Step):
    """The step of a server that needs nothing more than to run."""

    server: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("create-user", "create-secrets", "move-servers")
    timeout = STEP_TIMEOUT

    def check(self, ctx: Context) -> list[Change]:
        return todo(ctx, self.server)

    def apply(self, ctx: Context) -> None:
        run(ctx, self.server)

    def begin(self, ctx: Context) -> None:
        """Start it where it is to run; whoever applies the step waits for it."""
        if own_servers.here(ctx, self.server):
            _start(ctx, self.server)

    def undo(self, ctx: Context) -> None:
        stop(ctx, self.server)


def at_rest(ctx: Context, name: str) -> bool:
    """Whether this host's own server of that name is not set up: a purge finds nobody to ask."""
    return own_servers.here(ctx, name) and not ctx.paths.ready(name).exists()


def todo(ctx: Context, name: str) -> list[Change]:
    """What is to be done until it runs, or rests, as the site file wants it.

    Problem if it is to run and its package is not installed.
    """
    if not own_servers.here(ctx, name):
        left = ctx.paths.ready(name).exists() and name in ctx.facts.servers
        unit = f"backendai-{name}.service"
        return [Change(unit, "stop it: the site has this server elsewhere")] if left else []
    server = _server(ctx, name)
    if not all(ctx.secrets.exists(secret) for secret in holders.required(ctx)):
        return [Change(server.unit, "start it, now and at every boot")]
    found = [
        Change(str(file.path), "write it" if file.text else "remove it")
        for file in _wanted(ctx, server)
        if (files.read(file.path) or "") != file.text
    ]
    if found:
        return found
    change = state.find(ctx, server).change()
    return [change] if change else []


def run(ctx: Context, name: str) -> None:
    """Write its files and start or restart it, until it is well; stop it where it is not wanted.

    Pending without systemd, Problem if it does not become well.
    """
    if not own_servers.here(ctx, name):
        stop(ctx, name)
    elif server := _start(ctx, name):
        _wait(server)


def _start(ctx: Context, name: str) -> OwnServer | None:
    """Write its files and start or restart it, where that is to be done and systemd runs.

    None where its operator wants it left alone.
    """
    server = _server(ctx, name)
    wanted = _wanted(ctx, server)
    for file in wanted:
        if file.text:
            files.write(file.path, file.text, mode=file.mode)
    units.remove([file for file in wanted if not file.text])
    service = state.find(ctx, server)
    if service.left_alone:
        return None
    if service.new:
        systemd.systemctl("--no-reload", "enable", server.unit)
    if not systemd.booted():
        files.write(service.flag, service.fingerprint + "\n", mode=0o600)
        raise Pending(
            f"no systemd is running here: {server.unit} starts at the next boot",
            hint="boot this system",
        )
    systemd.systemctl("daemon-reload")
    systemd.forget_failures([server.unit])
    if not service.flagged:  # the unit starts where the flag is not empty
        files.write(service.flag, "starting\n", mode=0o600)
    word = "start" if service.flagged == service.fingerprint else "restart"
    systemd.systemctl(word, "--no-block", server.unit)
    # Last: killed before, the next run restarts it once more, and none forgets to.
    files.write(service.flag, service.fingerprint + "\n", mode=0o600)
    return server


def stop(ctx: Context, name: str) -> None:
    """Stop it, take its files away and forget how it was started; its data stays."""
    server = ctx.facts.servers.get(name)
    if server is None:
        return
    flag = ctx.paths.ready(name)
    if flag.exists() and (ctx.paths.units / server.unit).exists():
        systemd.systemctl("--no-reload", "disable", server.unit)
        if systemd.booted():
            systemd.systemctl("stop", server.unit, timeout=STOP_TIMEOUT)
    made = [ctx.paths.config / path for path in server.templates]
    units.remove([units.File(path, "") for path in (*made, dropins.path(server))])
    flag.unlink(missing_ok=True)


def _server(ctx: Context, name: str) -> OwnServer:
    if missing := own_servers.not_installed(ctx, name):
        raise missing
    return ctx.facts.servers[name]


def _wanted(ctx: Context, server: OwnServer) -> list[units.File]:
    """Its files and its drop-in; an empty text: none is needed."""
    package = f"backendai-{server.name}"
    made = [
        units.File(ctx.paths.config / path, render_file(ctx, path, package), mode=0o600)
        for path in server.templates
    ]
    return [*made, units.File(dropins.path(server), dropins.of_server(ctx, server))]


def _wait(server: OwnServer) -> None:
    """Until it is well. Problem with its own words after TIMEOUT, or when it ends again and again."""
    until = time.monotonic() + TIMEOUT
    while True:
        shown = systemd.properties(server.unit, _SHOWN)
        # With a job it is active as it was before the restart.
        if shown.get("ActiveState") == "active" and shown.get("Job", "") in ("", "0"):
            return
        said = shown.get("StatusText") or shown.get("ActiveState", "")
        hint = f"see: backendai-ctl logs {server.name}; then run: backendai-ctl reconfigure"
        if int(shown.get("NRestarts") or 0) >= TRIES:
            raise Problem(f"{server.unit} ended {TRIES} times: {said}", hint=hint)
        if time.monotonic() > until:
            raise Problem(f"{server.unit} is not healthy after {TIMEOUT} s: {said}", hint=hint)
        time.sleep(POLL)
