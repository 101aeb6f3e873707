"""Runs upstream's integration suite, the distribution backend.ai-test, and tells of each spec as it ends.

    python -I -m backendai_command.suite < ORDER

ORDER is JSON: `config` is what upstream's tester.toml holds; `limit`, the seconds that one spec, or a
variant of it, may take; `skip`, names of specs. Each line is JSON: the `name` of a spec, `seconds`, and
`failures`, an object for each error of a variant: `stage` and `error`, one line each, and `trace`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any
from uuid import UUID

from backendai_command import trust

_STARTING = 30.0  # seconds in which a session that somebody listens for is there
_PAUSE = 0.2
_ENDING = 60.0  # seconds that what a spec left may take to end
_LIVE = "PENDING,SCHEDULED,PREPARING,PULLING,PREPARED,CREATING,RUNNING,TERMINATING"
_PACKAGE = "ai.backend.test"


class Seen:
    """What upstream's runner tells of a spec, as one of its exporters is told."""

    def __init__(self) -> None:
        self.failures: list[dict[str, str]] = []
        self._stage = ""

    async def create(self, _variant: str | None) -> Seen:
        self._stage = ""
        return self

    async def export_start(self) -> None: ...

    async def export_done(self) -> None: ...

    async def export_stage_done(self, stage: str) -> None:
        self._stage = stage

    async def export_stage_exception(self, stage: str, exception: BaseException) -> None: ...

    async def export_exception(self, exception: BaseException) -> None:
        """Cleaning up fails, too, after some failures: each counts, not the last alone."""
        chain, one = list[BaseException](), exception.__context__
        while one:
            if not isinstance(one, asyncio.CancelledError):
                chain.append(one)
            one = one.__context__
        for one in (*reversed(chain), exception):
            late = isinstance(one, asyncio.CancelledError)
            error = "not done in time" if late else f"{type(one).__name__}: {one}"
            self.failures.append(
                {
                    "stage": self._stage,
                    "error": " ".join(error.split()),
                    "trace": "".join(traceback.format_exception(one, chain=False)),
                }
            )


def wait_for_sessions(request: Any, refused: type[Exception]) -> None:
    """Have those who listen for a session's events wait until it is there.

    Upstream's specs listen before they ask for the session, which a manager answers with 404 since it looks
    the session up: every one of them would fail, and leave its session behind.
    """
    connect = request.SSEContextManager.reconnect

    async def patient(self: Any) -> Any:
        until = time.monotonic() + _STARTING
        while True:
            try:
                return await connect(self)
            except refused as failure:
                if getattr(failure, "status", None) != 404 or time.monotonic() > until:
                    raise
            await asyncio.sleep(_PAUSE)

    request.SSEContextManager.reconnect = patient


async def end_sessions(config: Any) -> None:
    """End what a spec left: a session that waits for ever keeps those waiting that come after it."""
    client = import_module("ai.backend.client.session")
    settings = import_module("ai.backend.client.config").APIConfig
    fields = [import_module("ai.backend.client.output.types").FieldSpec("session_id")]
    keys = config.context.keypair
    here = settings(
        endpoint=config.context.endpoint.api_endpoint,
        endpoint_type="api",
        access_key=keys.access_key,
        secret_key=keys.secret_key,
    )
    until, told = time.monotonic() + _ENDING, set[str]()
    async with client.AsyncSession(config=here) as site:
        sessions = site.ComputeSession
        while time.monotonic() < until:
            found = await sessions.paginated_list(_LIVE, keys.access_key, fields=fields)
            if not found.items:
                return
            for number in {str(row["session_id"]) for row in found.items} - told:
                told.add(number)
                await sessions.from_session_id(UUID(number)).destroy(forced=True)
            await asyncio.sleep(1)


async def run(order: Any, tell: Callable[[dict[str, Any]], None]) -> None:
    """All specs, one after the other in the order of their names."""
    specs = import_module(f"{_PACKAGE}.testcases.testspecs").ROOT_TEST_SPECS
    manager = import_module(f"{_PACKAGE}.testcases.spec_manager").TestSpecManager(specs)
    tester_type = import_module(f"{_PACKAGE}.tester.tester").Tester
    config = import_module(f"{_PACKAGE}.tester.config").TesterConfig.model_validate(order["config"])
    for name in sorted(set(specs) - set(order["skip"])):
        seen, began = Seen(), time.monotonic()
        tester = tester_type(manager, seen, None)
        tester._load_tester_config = _given(config)  # upstream's reads a file, which holds keys
        task = asyncio.create_task(tester.run_by_name(name))
        while not (await asyncio.wait({task}, timeout=order["limit"]))[0]:
            task.cancel()  # a variant, which upstream's runner tells of before it takes the next
        await task
        with contextlib.suppress(Exception):  # what fails here fails the next spec
            await end_sessions(config)
        tell({"name": name, "seconds": time.monotonic() - began, "failures": seen.failures})


def _given(config: Any) -> Any:
    async def load(_path: Any) -> Any:
        return config

    return load


def main() -> None:
    """What upstream prints goes to standard error."""
    order, answers = json.load(sys.stdin), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ["HOME"] = os.getcwd()  # upstream's client makes folders there
    trust.install()
    refused = import_module("ai.backend.client.exceptions").BackendAPIError
    wait_for_sessions(import_module("ai.backend.client.request"), refused)

    def tell(row: dict[str, Any]) -> None:
        print(json.dumps(row), file=answers, flush=True)

    asyncio.run(run(order, tell))


if __name__ == "__main__":
    main()
