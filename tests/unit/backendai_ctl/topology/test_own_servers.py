"""What is wrong with a server of the site's own, and where."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from backendai_ctl.context import Context
from backendai_ctl.operations import status
from backendai_ctl.probes import servers
from backendai_ctl.probes.health import Health
from backendai_ctl.site.schema import Cache, Site
from backendai_ctl.topology import own_servers

ACTIVE = {"ActiveState": "active", "StatusText": "healthy"}
RECOVERS = {
    "ActiveState": "activating",
    "StatusText": "postgresql://127.0.0.1:8100/: the database system is starting up",
}


def test_one_that_runs_has_no_trouble(ctx: Context) -> None:
    assert own_servers.trouble(ctx, "postgresql", ACTIVE) is None


def test_one_that_starts_says_in_its_own_words_why_it_takes_long(ctx: Context) -> None:
    found = own_servers.trouble(ctx, "postgresql", RECOVERS)
    assert found and found.message.endswith("is activating: " + RECOVERS["StatusText"])
    assert "backendai-ctl logs postgresql" in found.hint


def test_words_of_an_earlier_run_are_not_told(ctx: Context) -> None:
    found = own_servers.trouble(ctx, "valkey", {"ActiveState": "failed", "StatusText": "healthy"})
    assert found and found.message == "backendai-valkey.service is failed"


def test_a_full_disk_comes_first_and_names_the_place(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it a server that still runs does not serve, and a restart helps nobody."""
    asked: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=3_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    place = ctx.paths.state / "postgresql"
    for shown in (ACTIVE, RECOVERS):
        found = own_servers.trouble(ctx, "postgresql", shown)
        assert found and found.message == f"its disk is full: 3 MB left in {place}"
        assert found.hint == f"free space in {place}"
    place.mkdir()
    own_servers.trouble(ctx, "postgresql", ACTIVE)
    assert asked == [ctx.paths.state, ctx.paths.state, place]


def test_a_package_that_is_missing_is_named(ctx: Context) -> None:
    (ctx.paths.units / "backendai-etcd.service").unlink()
    found = own_servers.trouble(ctx, "etcd", {})
    assert found and "apt install backendai-etcd" in found.hint and "[etcd]" in found.hint


@pytest.mark.parametrize("name", ["valkey", "tls-proxy", "firewall"])
def test_what_is_not_ours_is_not_looked_at(ctx: Context, name: str) -> None:
    theirs = Context(ctx.facts, Site(cache=Cache(mode="external")))
    assert own_servers.trouble(theirs, name, {"ActiveState": "failed"}) is None


def test_status_tells_it_beside_the_server(ctx: Context) -> None:
    backing = next(s for s in servers.needed(ctx) if s.name == "postgresql")
    said = Health(False, "connection refused")
    part = status._server(ctx, backing, RECOVERS, said)
    assert part.message.endswith("the database system is starting up") and not part.ok
    (cause,) = part.causes
    assert cause.message.startswith("postgresql: backendai-postgresql.service is activating")
    well = status._server(ctx, backing, ACTIVE, Health(True))
    assert (well.message, well.causes) == ("", ())
    deaf = status._server(ctx, backing, ACTIVE, said)
    assert (deaf.message, deaf.causes) == ("connection refused", ())
