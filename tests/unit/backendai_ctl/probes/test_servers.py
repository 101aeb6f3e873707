"""Promises of backendai_ctl.probes.servers, against small servers on loopback."""

from __future__ import annotations

import pytest
from loopback_servers import Answers, answering, serving

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.probes import servers
from backendai_ctl.site.schema import Site


def test_valkey_that_wants_a_password_answers() -> None:
    ping = b"*1\r\n$4\r\nPING\r\n"
    with answering({ping: b"-NOAUTH Authentication required.\r\n"}) as port:
        assert servers.valkey("127.0.0.1", port, 1) == "answers"
    with (
        answering({ping: b"-LOADING Valkey is loading the dataset in memory\r\n"}) as port,
        pytest.raises(ConnectionError, match="LOADING"),
    ):
        servers.valkey("127.0.0.1", port, 1)


def test_etcd_without_a_leader_does_not_count() -> None:
    answers: Answers = {
        "/health": (200, '{"health":"true"}'),
        "/version": (200, '{"etcdserver":"3.5.16"}'),
    }
    with serving(answers) as port:
        assert servers.etcd(f"127.0.0.1:{port}", 1) == "etcd 3.5.16"
    with (
        serving({"/health": (503, '{"health":"false","reason":"NO LEADER"}')}) as port,
        pytest.raises(ConnectionError, match="NO LEADER"),
    ):
        servers.etcd(f"127.0.0.1:{port}", 1)


def test_most_members_are_enough_and_the_missing_one_is_named(facts: Facts, free_port: int) -> None:
    answers: Answers = {
        "/health": (200, '{"health":"true"}'),
        "/version": (200, '{"etcdserver":"3.5.16"}'),
    }
    gone = f"127.0.0.1:{free_port}"
    with serving(answers) as one, serving(answers) as two:
        members = [f"127.0.0.1:{one}", gone, f"127.0.0.1:{two}"]
        said = _etcd(facts, members).ask(1)
        assert said == f"etcd 3.5.16; {gone}: connection refused"
        with pytest.raises(ConnectionError, match="refused"):
            _etcd(facts, [members[0], gone]).ask(1)


def _etcd(facts: Facts, members: list[str]) -> servers.Backing:
    ctx = Context(facts, Site.model_validate({"etcd": {"mode": "external", "endpoints": members}}))
    return next(backing for backing in servers.needed(ctx) if backing.name == "etcd")


def test_a_host_needs_only_what_its_components_use(ctx: Context) -> None:
    for name in ctx.facts.installed():
        if name != "webserver":
            (ctx.paths.units / ctx.facts.components[name].unit).unlink()
    assert [backing.name for backing in servers.needed(ctx)] == ["valkey"]
