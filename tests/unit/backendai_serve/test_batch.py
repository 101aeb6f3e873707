"""With upstream's own modules, as the lock has them: an agent that starts again learns how batch jobs end."""

from __future__ import annotations

import pytest
from upstream import Upstream, shared, unpack

# A container whose job ended while nobody was connected, and the agent that finds it.
FIND = """
import asyncio, uuid, zmq, zmq.asyncio
from ai.backend.agent.kernel_registry.types import KernelRecoveryData
from ai.backend.agent.types import KernelOwnershipData
from ai.backend.common.types import SessionTypes

async def main():
    context = zmq.asyncio.Context()
    out, into = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    ports = [one.bind_to_random_port("tcp://127.0.0.1") for one in (into, out)]
    waiting = asyncio.ensure_future(out.send_multipart([b"finished", b'{"exitCode": 7}']))
    kernel = KernelRecoveryData.model_construct(
        id=uuid.uuid4(), image_ref=None, version=1, network_id="", network_driver="bridge",
        ownership_data=KernelOwnershipData(uuid.uuid4(), uuid.uuid4(), "i-here"),
        session_type=SessionTypes("TYPE"), resource_spec=None, service_ports=[], environ={},
        repl_in_port=ports[0], repl_out_port=ports[1],
        block_service_ports=False, domain_socket_proxies=[],
    ).to_docker_kernel()
    await kernel.init(None)
    await kernel.runner.__ainit__()  # as upstream's agent does
    await waiting
    await asyncio.sleep(0.3)
    print(kernel.session_type.value)
    if kernel.runner.output_queue is None:
        print("nobody waits")
    else:
        await kernel.runner.attach_output_queue("batch-job")
        told = await asyncio.wait_for(kernel.runner.get_next_result(api_ver=3, flush_timeout=1.0), 9)
        print(told["status"], told["exitCode"])
    await kernel.runner.close()

asyncio.run(main())
"""

# A job of a minute begins; then an agent finds one whose time is over, and one that ended before it was.
LIMIT = """
import asyncio, os, pathlib, tempfile, time, uuid
from types import SimpleNamespace
from ai.backend.agent.agent import AbstractAgent
from ai.backend.agent.docker.kernel import DockerCodeRunner
from ai.backend.agent.kernel import ResultRecord
from backendai_serve import batch

batch.PATIENCE = 0.5

class Agent(SimpleNamespace):
    begin = AbstractAgent.create_batch_execution_task
    wait = AbstractAgent._iterate_batch_result

    async def execute_batch(self, *words):
        self.told.append(words[2:])

    async def anycast_and_broadcast_event(self, event, _):
        self.told.append([event.reason.value, event.exit_code])

async def main():
    root = pathlib.Path(tempfile.mkdtemp())
    kernel = uuid.uuid4()
    limit = root / str(kernel) / "config" / "batch-until"
    limit.parent.mkdir(parents=True)
    agent = Agent(
        local_config=SimpleNamespace(container=SimpleNamespace(scratch_root=root)), told=[],
        kernel_registry={}, _ongoing_exec_batch_tasks=set(),
    )
    await agent.begin(None, kernel, "sleep 99", 60.0)
    await asyncio.sleep(0)
    print(agent.told.pop(), limit.exists() and 50 < float(limit.read_text()) - time.time() <= 60)
    for said in (None, b'{"exitCode": 7}'):
        if limit.exists():
            limit.write_text(str(time.time() - 1))
        runner = DockerCodeRunner(
            kernel, uuid.uuid4(), None, kernel_host="127.0.0.1", repl_in_port=1, repl_out_port=2,
            client_features={"continuation"},
        )
        agent.kernel_registry[kernel] = SimpleNamespace(session_id=uuid.uuid4(), runner=runner)
        await runner.attach_output_queue("batch-job")
        if said:
            await runner.output_queue.put(ResultRecord("finished", said))
        # Not cancelled: upstream takes that for the end of its own second, if both come at once.
        waiting = asyncio.create_task(agent.wait(kernel))
        ended, _ = await asyncio.wait({waiting}, timeout=4)
        print(agent.told.pop() if ended else "goes on", flush=True)
    os._exit(0)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return unpack(shared(tmp_path_factory), ("backend-ai-agent", "backend-ai-kernel-binary"))


def test_the_end_of_a_batch_job_is_known_afterwards(agent: Upstream) -> None:
    assert agent.run(FIND.replace("TYPE", "batch")).split("\n")[:2] == ["batch", "finished 7"]


def test_other_sessions_are_waited_for_by_who_uses_them(agent: Upstream) -> None:
    found = agent.run(FIND.replace("TYPE", "interactive")).split("\n")[:2]
    assert found == ["interactive", "nobody waits"]


def test_a_batch_job_has_the_time_that_it_had(agent: Upstream) -> None:
    began, limited, ended = agent.run(LIMIT).splitlines()
    assert began == "('sleep 99', 60.0) True"
    assert limited == "['task-timeout', -2]"
    assert ended == "['task-failed', 7]"


def test_upstream_gives_it_all_time(agent: Upstream) -> None:
    began, limited, _ = agent.run(LIMIT, changed=False).splitlines()
    assert began == "('sleep 99', 60.0) False"
    assert limited == "goes on"


def test_upstream_forgets_it(agent: Upstream) -> None:
    """Once it does not, the change can go."""
    found = agent.run(FIND.replace("TYPE", "batch"), changed=False).split("\n")[:2]
    assert found == ["interactive", "nobody waits"]
