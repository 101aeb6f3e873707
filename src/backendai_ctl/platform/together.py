"""Asking several things at once, with one timeout for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def together(jobs: Mapping[str, Callable[[], T]], *, timeout: float, late: T) -> dict[str, T]:
    """The results of all jobs by name; `late` for one that is not done after `timeout` seconds.

    A job that hangs is left behind and ends with the process. An exception of a job is raised.
    """
    results: dict[str, T] = {}
    failures: list[BaseException] = []

    def work(name: str, job: Callable[[], T]) -> None:
        try:
            results[name] = job()
        except BaseException as failure:
            failures.append(failure)

    until = time.monotonic() + timeout
    # Daemons: those of concurrent.futures are waited for at exit, however long they hang.
    threads = [
        threading.Thread(target=copy_context().run, args=(work, *item), daemon=True)
        for item in jobs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if failures:
        raise failures[0]
    done = dict(results)
    return {name: done.get(name, late) for name in jobs}
