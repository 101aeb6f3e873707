"""Tried with a cluster session: its containers find each other by name and exchange data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from backendai_ctl.acceptance.account import Agent
from backendai_ctl.acceptance.outcomes import AGENT, LIMIT, Skip, Trials
from backendai_ctl.acceptance.visitor import ENDING, RESOURCES, Visitor
from backendai_ctl.errors import Problem

SIZE = 2**20  # bytes that go to the other container and come back
CONTAINERS = 2
_ALLOWED = "query { keypair_resource_policy { max_containers_per_session } }"
# By SSH, which every container of a cluster serves and has the key for. The data comes back by a connection
# that the other one makes.
_EXCHANGE = """
import json, os, subprocess, time
def ssh(*words, **given):
    return subprocess.run(["ssh", *words], capture_output=True, timeout=60, **given)
until = time.monotonic() + 60
while (there := ssh("sub1", "hostname")).returncode and time.monotonic() < until:
    time.sleep(1)
sent = os.urandom(SIZE)
back = ssh("sub1", "ssh", "main1", "cat", input=sent)
said = (there.stderr + back.stderr).decode("utf-8", "replace")
print(json.dumps([there.stdout.decode("utf-8", "replace").strip(), back.stdout == sent, said[-300:]]))
"""
_LINKS = "see there: backendai-ctl doctor, backendai-ctl logs agent"


def run(
    trials: Trials, visitor: Visitor, agents: Sequence[Agent], image: str, timeout: float
) -> None:
    """One session in each resource group: over two of its nodes, or on its only one."""
    for group in sorted({agent.group for agent in agents}):
        cluster = _Cluster(visitor, [agent for agent in agents if agent.group == group])
        name, start = f"cluster {group}", partial(cluster.start, image, timeout)
        if trials.attempt(name, "containers", start, AGENT, int(timeout) + LIMIT):
            trials.attempt(name, "exchange", cluster.exchange, _LINKS)
            trials.attempt(name, "end", cluster.end, AGENT)


def chosen(agents: Sequence[Agent]) -> tuple[Sequence[Agent], int]:
    """Those of a resource group that get a container, and its cores. Raises Skip.

    A user names nodes, and not how many containers each gets: only as one has no room for both of them, each
    gets one.
    """
    if len(agents) == 1:
        if agents[0].cores < CONTAINERS:
            raise Skip(f"it takes {CONTAINERS} free cores, {agents[0].node} has {agents[0].cores}")
        return agents, 1
    for less, more in pairwise(sorted(agents, key=lambda agent: agent.cores)):
        cores = more.cores // 2 + 1
        if cores <= less.cores:
            return [less, more], cores
    free = ", ".join(f"{agent.node} {agent.cores}" for agent in agents)
    raise Skip(f"it takes two nodes with about as many free cores: {free}")


class _Cluster:
    """A session of two containers, in a resource group with these agents."""

    def __init__(self, visitor: Visitor, agents: Sequence[Agent]) -> None:
        self.visitor = visitor
        self.agents = agents
        self.session = ""

    def start(self, image: str, timeout: float) -> str:
        policy = self.visitor.browser.query(_ALLOWED)["keypair_resource_policy"]
        allowed = policy["max_containers_per_session"]
        if 0 < allowed < CONTAINERS:
            raise Skip(
                f"sessions have {allowed} container: see [sessions] containers of the site file"
            )
        agents, cores = chosen(self.agents)
        size = {**RESOURCES, "cpu": str(cores)}
        self.session = self.visitor.start(image, agents, size, [], timeout, CONTAINERS)
        places = sorted(self.visitor.places(self.session).items())
        return ", ".join(f"{name} on {agent.removeprefix('i-')}" for name, agent in places)

    def exchange(self) -> str:
        told = self.visitor.compute(self.session, _EXCHANGE.replace("SIZE", str(SIZE)))
        name, same, said = json.loads(told)
        if name != "sub1":
            raise Problem(f"main1 does not get to sub1: {said or name!r}")
        if not same:
            raise Problem(f"what sub1 sends to main1 is not what it got: {said}")
        return f"{SIZE // 2**20} MiB from main1 to sub1 and back, by SSH"

    def end(self) -> str:
        self.visitor.end(self.session, ENDING)
        return "the session is gone"
