"""Nodes tell each other by what they were set up; a cache that is away stops nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fake_valkey import FakeValkey, running

from backendai_ctl.context import Context
from backendai_ctl.nodes import announced
from backendai_ctl.nodes.announced import Told

At = Callable[..., Context]


@pytest.fixture
def valkey() -> Iterator[FakeValkey]:
    with running(FakeValkey(settings={"requirepass": "x", "appendonly": "yes"})) as fake:
        yield fake


@pytest.fixture
def node(at: At, valkey: FakeValkey) -> Callable[[str], Context]:
    """The context of a node whose cache is that one."""

    def make(name: str) -> Context:
        ctx = at(name)
        ctx.secrets.path("cache-password").parent.mkdir(exist_ok=True)
        ctx.secrets.path("cache-password").write_text("x\n")
        cache = ctx.site.cache.model_copy(update={"host": "127.0.0.1", "port": valkey.port})
        site = ctx.site.model_copy(update={"cache": cache})
        return Context(ctx.facts, site, node=name)

    return make


def test_what_a_node_says_is_written_once(
    node: Callable[[str], Context], valkey: FakeValkey
) -> None:
    ctx = node("gpu1")
    assert announced.tell(ctx) and announced.tell(ctx)
    assert [words[0] for words in valkey.log].count("HSET") == 1
    assert announced.told(ctx) == {"gpu1": announced.mine(ctx)}


def test_faults_name_what_differs_from_the_origin(node: Callable[[str], Context]) -> None:
    ctx = node("mgmt")
    mine = announced.mine(ctx)
    said = {"mgmt": Told("old", "1"), "gpu1": mine, "gpu2": Told("other", "26.8.0-1")}
    assert announced.faults(ctx, "mgmt", {"mgmt": mine}) == []
    assert announced.faults(ctx, "gpu1", said) == [], "on the origin its own file counts"
    assert announced.faults(ctx, "store", said) == ["has not joined"]
    site_file, release = announced.faults(ctx, "gpu2", said)
    assert site_file == "its site file is not the one of mgmt"
    assert release == f"has release 26.8.0-1, mgmt has {mine.version}"
    assert len(announced.faults(node("gpu1"), "gpu1", said)) == 2, "elsewhere what it said"


def test_nonsense_in_the_cache_is_nobodys_word(
    node: Callable[[str], Context], valkey: FakeValkey
) -> None:
    ctx = node("gpu1")
    valkey.hashes[announced.key(ctx)] = {"gpu1": "[]", "gpu2": "{", "store": '{"site": 1}'}
    assert announced.told(ctx) == {}
    assert announced.tell(ctx) and set(announced.told(ctx)) == {"gpu1"}


def test_a_cache_that_is_away_or_refuses_stops_nothing(
    node: Callable[[str], Context], valkey: FakeValkey
) -> None:
    ctx = node("gpu1")
    valkey.settings["requirepass"] = "y"
    assert not announced.tell(ctx)
    away = ctx.site.cache.model_copy(update={"port": 1})
    assert not announced.tell(
        Context(ctx.facts, ctx.site.model_copy(update={"cache": away}), node="gpu1")
    )
    ctx.secrets.path("cache-password").unlink()
    assert not announced.tell(ctx), "before it joined it has no password"


def test_a_single_host_says_nothing(ctx: Context) -> None:
    assert not announced.tell(ctx)


def test_the_clock_is_that_of_the_caches_host(
    node: Callable[[str], Context], valkey: FakeValkey
) -> None:
    valkey.time = 1234.5
    assert announced.clock(node("gpu1")) == 1234.5
