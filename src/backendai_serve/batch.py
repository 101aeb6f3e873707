"""Has an agent that started again learn how batch jobs end that went on without it.

Upstream forgets what kind of session a container is of: it writes it down and does not read it, so
nobody waits for the end of a batch job any more, and its session runs for ever. Of a job that ended
meanwhile the container keeps the message until somebody connects; there must be a place for it then.
Nor does it write down how long a job may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from backendai_serve.patches import part

AGENT = "ai.backend.agent.agent"
KEPT = "ai.backend.agent.kernel_registry.types"
KERNEL = "ai.backend.agent.kernel"
LIMIT = "batch-until"  # in the folder of a kernel's settings, which its container may only read
PATIENCE = 5.0  # seconds, for what a job said before its time was over, and no agent heard


def keep_type(module: ModuleType) -> None:
    """The kernel of a container that goes on is of the type that was written down."""
    data = part(module, "KernelRecoveryData")
    make = part(data, "to_docker_kernel")

    @functools.wraps(make)
    def typed(self: Any) -> Any:
        kernel = make(self)
        kernel.session_type = self.session_type
        return kernel

    data.to_docker_kernel = typed


def keep_end(module: ModuleType) -> None:
    """What a batch job says is kept from the moment at which its kernel is connected to."""
    kernel, run = part(module, "AbstractKernel"), part(module, "RUN_ID_FOR_BATCH_JOB")
    types = part(module, "SessionTypes")
    connect = part(kernel, "init")

    @functools.wraps(connect)
    async def connected(self: Any, *given: Any, **named: Any) -> None:
        await connect(self, *given, **named)
        # This does not wait, so nothing is read, and thrown away, before there is a place for it.
        if self.session_type == types.BATCH:
            await self.runner.attach_output_queue(run)

    kernel.init = connected


def keep_time(module: ModuleType) -> None:
    """A job's time is written down as it begins, and runs on in the next agent."""
    agent = part(module, "AbstractAgent")
    begin = part(agent, "create_batch_execution_task")
    wait = part(agent, "_iterate_batch_result")

    @functools.wraps(begin)
    async def noted(
        self: Any, session: Any, kernel: Any, code: str, timeout_seconds: float | None = None
    ) -> None:
        if timeout_seconds is not None:
            _limit(self, kernel).write_text(f"{time.time() + timeout_seconds}")
        await begin(self, session, kernel, code, timeout_seconds)

    @functools.wraps(wait)
    async def limited(self: Any, kernel: Any) -> None:
        limit, runner = _limit(self, kernel), self.kernel_registry[kernel].runner
        # There is no limit, or an agent that died left a part of it.
        with contextlib.suppress(FileNotFoundError, ValueError):
            until = float(limit.read_text())
            if runner is not None:
                # What upstream has for a limit of each query, and does not use.
                runner.exec_timeout = max(PATIENCE, until - time.time())
                runner.watchdog_task = asyncio.create_task(runner.watchdog())
        await wait(self, kernel)

    agent.create_batch_execution_task, agent._iterate_batch_result = noted, limited


def _limit(agent: Any, kernel: Any) -> Path:
    return Path(agent.local_config.container.scratch_root) / str(kernel) / "config" / LIMIT


EXECUTED = {AGENT: keep_time, KEPT: keep_type, KERNEL: keep_end}
