"""Which container engine this host uses: the Docker that its administrator has, or else ours.

A Docker of the host (docker-ce, docker.io, moby-engine) is used as it is and never changed. Only where
there is none, backendai-docker brings one, with a socket, settings and data of its own: what others see
at /run/docker.sock, such as podman's, is theirs. Once ours has run here it stays the one, for sessions are
its containers, until backendai-docker is removed.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from backendai_ctl import accounts
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files, http, units
from backendai_ctl.platform.run import PATH, run

log = logging.getLogger(__name__)
T = TypeVar("T")
NAME = "docker"
OLDEST = (20, 10)  # what the agent talks with
LOG_LIMITS = {"max-size": "20m", "max-file": "5"}  # of each container
_HOST_UNIT = "docker.service"


@dataclass(frozen=True)
class Engine:
    """A container engine. `group`: who may use its socket besides root, if the host has that group."""

    own: bool  # that of backendai-docker
    unit: str
    socket: Path
    settings: Path  # daemon.json(5)
    data: Path  # where it keeps images, if its settings name no other folder
    group: str
    path: str  # PATH for its command `docker`

    @property
    def environment(self) -> dict[str, str]:
        """What leads the command `docker`, and the agent, to it."""
        return {"DOCKER_HOST": f"unix://{self.socket}", "PATH": self.path}

    @property
    def open_to_agent(self) -> bool:
        """Whether there is a group by which the agent can use its socket."""
        return accounts.group_exists(self.group)

    @property
    def command(self) -> str | None:
        """Path of the command `docker`; None: there is none."""
        return shutil.which("docker", path=self.path)

    def configured(self) -> dict[str, Any]:
        """Its settings; empty where there are none, or Docker would not understand them either.

        Also for who may not read those of ours.
        """
        try:
            data = json.loads(files.read(self.settings) or "{}")
        except (ValueError, Problem):
            return {}
        return data if isinstance(data, dict) else {}

    @property
    def data_root(self) -> Path:
        """Where it keeps images."""
        return Path(str(self.configured().get("data-root") or self.data))


def of(facts: Facts) -> Engine:
    """The engine of this host. Ours too where there is none at all: then it is still to be installed."""
    started = facts.paths.ready(NAME).exists() and installed(facts)
    return host(facts) if has_docker(facts) and not started else own(facts)


def has_docker(facts: Facts) -> bool:
    """Whether the host has a Docker of its own that is not masked."""
    ruling = units.FOLDER / _HOST_UNIT
    if ruling.is_symlink() or ruling.exists():
        return ruling.resolve() != Path("/dev/null")
    return (facts.paths.units / _HOST_UNIT).exists()


def installed(facts: Facts) -> bool:
    """Whether backendai-docker is on this host."""
    return (facts.paths.units / own(facts).unit).exists()


def host(facts: Facts) -> Engine:
    """The host's own Docker. Its command may be missing (Debian's docker.io has none), and ours is used."""
    return Engine(
        own=False,
        unit=_HOST_UNIT,
        socket=Path("/run/docker.sock"),
        settings=Path("/etc/docker/daemon.json"),
        data=Path("/var/lib/docker"),
        group=NAME,
        path=f"{PATH}:{_programs(facts)}",
    )


def own(facts: Facts) -> Engine:
    """That of backendai-docker. Its programs come first: podman-docker has a command `docker`, too."""
    return Engine(
        own=True,
        unit=f"backendai-{NAME}.service",
        socket=Path(f"/run/backendai-{NAME}/docker.sock"),
        settings=facts.paths.config / "docker.json",
        data=facts.paths.state / NAME,
        group=f"backendai-{NAME}",
        path=f"{_programs(facts)}:{PATH}",
    )


def ask(socket: Path, what: str, timeout: float, most: int | None = http.MOST) -> Any:
    """What Docker's API says at its path `what`, as JSON has it; see http.ask.

    Raises OSError, HTTPException, and ValueError if it is no JSON.
    """
    status, body = http.ask(f"http://localhost/{what}", timeout=timeout, local=socket, most=most)
    if status != 200:
        raise ConnectionError(f"HTTP {status}")
    return json.loads(body)


def of_containers(facts: Facts, read: Callable[[Any], Iterable[T]]) -> set[T] | None:
    """What `read` finds in each container's row, of those that run and those that do not.

    None: the engine does not say, or not as Docker does; then nobody knows what no container needs.
    """
    socket = of(facts).socket
    try:
        rows = ask(socket, "containers/json?all=1", timeout=30, most=None)
        if not isinstance(rows, list):
            raise ValueError("no list of containers")
        return {found for row in rows for found in read(row)}
    except (OSError, HTTPException, ValueError, AttributeError, KeyError, TypeError) as error:
        log.debug("%s: %s", socket, error)
        return None


def end_containers(engine: Engine) -> None:
    """Kill all of its containers. Where it does not run there is nothing to do it with."""
    docker = [engine.command or "docker"]
    if running := run([*docker, "ps", "--quiet"], env=engine.environment).stdout.split():
        run([*docker, "kill", *running], env=engine.environment)


def _programs(facts: Facts) -> Path:
    return facts.paths.servers / NAME / "bin"
