"""Processes of a server, on hosts of several sizes."""

from __future__ import annotations

import os
import re

import pytest
from declared import PACKAGING, components

from backendai_ctl.rendering import workers

LIMIT = re.compile(r'memory="(\d+)G"')


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def sized(host: pytest.MonkeyPatch, cores: int | None, gib: int) -> None:
    host.setattr(os, "cpu_count", lambda: cores)
    host.setattr(workers, "gib", lambda: gib)


@pytest.mark.parametrize(
    ("cores", "gib", "managers", "proxies"),
    [
        (None, 64, 1, 1),
        (1, 1, 1, 1),
        (2, 8, 1, 1),
        (8, 8, 1, 2),  # memory decides
        (8, 32, 2, 2),
        (16, 32, 4, 4),
        (128, 1024, 4, 4),
    ],
)
def test_they_follow_cores_and_memory(
    host: pytest.MonkeyPatch, cores: int | None, gib: int, managers: int, proxies: int
) -> None:
    sized(host, cores, gib)
    assert workers.workers(components()["manager"]) == managers
    assert workers.workers(components()["storage-proxy"]) == proxies


@pytest.mark.parametrize("name", ["manager", "storage-proxy"])
def test_the_most_of_them_leave_a_third_of_the_memory_that_the_service_may_use(name: str) -> None:
    """What a load or a leak needs; `resident` is of one process and what is in front of it."""
    found = LIMIT.search((PACKAGING / "components" / name / "BUILD").read_text("utf-8"))
    assert found
    limit = int(found[1]) * 1024
    assert workers.MOST * components()[name].resident <= limit * 2 / 3


@pytest.mark.parametrize("cores", [1, 8, 12, 64])
def test_all_of_them_have_the_connections_of_one(host: pytest.MonkeyPatch, cores: int) -> None:
    """By upstream's defaults each process may open 72; PostgreSQL is set up for 80 of a manager."""
    sized(host, cores, 1024)
    manager = components()["manager"]
    each = workers.KEPT + workers.more_connections(manager)
    assert each > workers.KEPT and 60 < workers.workers(manager) * each <= workers.CONNECTIONS
