"""Promises of backendai_ctl.checks.services, against small servers on loopback.

Logins to real servers are shown on hosts.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from declared import MANAGER
from fake_etcd import FakeEtcd
from loopback_servers import answering, serving

from backendai_ctl.checks import services
from backendai_ctl.context import Context
from backendai_ctl.etcd import seed, settings, users
from backendai_ctl.facts import Facts
from backendai_ctl.platform import systemd
from backendai_ctl.rendering.render import ETCD_QUOTA
from backendai_ctl.site.schema import Site


def call(*words: str) -> bytes:
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{parts}".encode()


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


def cache(facts: Facts, replies: Mapping[bytes, bytes], *, login: bytes) -> services.Result:
    """What the check says of a cache that answers our password with `login`."""
    secrets = Context(facts, Site()).secrets
    secrets.create("cache-password")
    with answering({**replies, call("AUTH", secrets.get("cache-password")): login}) as port:
        return services.cache(Context(facts, Site.model_validate({"cache": {"port": port}})))


REPLIES = {
    call("PING"): b"+PONG\r\n",
    call("INFO", "server"): bulk("# Server\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n"),
    call("INFO", "memory"): bulk("maxmemory:0\r\nmaxmemory_policy:noeviction\r\n"),
}


def test_a_cache_that_lets_us_in_is_told_with_its_version(facts: Facts) -> None:
    found = cache(facts, REPLIES, login=b"+OK\r\n")
    assert found.level == "ok"
    assert found.message.endswith("Valkey 8.1.1")


def test_a_cache_that_forgets_under_pressure_is_told(facts: Facts) -> None:
    forgetful = bulk("maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n")
    found = cache(facts, {**REPLIES, call("INFO", "memory"): forgetful}, login=b"+OK\r\n")
    assert (found.level, found.hint) == ("warn", "set it to noeviction")


def test_a_wrong_password_is_a_fault_that_does_not_show_it(facts: Facts) -> None:
    found = cache(facts, REPLIES, login=b"-WRONGPASS invalid pair\r\n")
    assert (found.level, found.message) == ("fail", "WRONGPASS invalid pair")


def test_all_settings_that_services_read_from_etcd_are_counted(
    there: Context, etcd: FakeEtcd
) -> None:
    users.create(there)
    found = services.etcd(there)
    assert found.level == "fail" and found.hint == "run: backendai-ctl etcd seed", found
    seed.seed(there)
    found = services.etcd(there)
    count = len(settings.wanted(there))
    assert found.level == "ok" and f", {count} settings of the services; " in found.message, found


def test_servers_that_are_down_are_faults(facts: Facts, free_port: int) -> None:
    wanted = {"host": "127.0.0.1", "port": free_port}
    endpoints = {"endpoints": [f"127.0.0.1:{free_port}"]}
    site = Site.model_validate({"database": wanted, "cache": wanted, "etcd": endpoints})
    ctx = Context(facts, site)
    for name in ("cache-password", "database-manager"):
        ctx.secrets.create(name)
    for check in (services.cache, services.database(MANAGER)):
        found = check(ctx)
        assert (found.level, "refused" in found.message) == ("fail", True), found


def test_a_component_is_asked_how_it_is(facts: Facts, free_port: int) -> None:
    check = services.component("gateway")
    with serving(
        {"/readiness": (200, '{"status": "ready", "manager": "does not answer"}')}
    ) as port:
        site = Site.model_validate({"network": {"ports": {"gateway": {"graphql": port}}}})
        found = check(Context(facts, site))
    assert (found.level, found.message) == ("fail", "the manager does not answer it")
    (facts.paths.units / "backendai-gateway.service").unlink()
    assert check(Context(facts, Site())).level == "skip"


def test_a_component_that_is_off_by_its_operators_wish_is_no_fault(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"ActiveState": "inactive", "UnitFileState": "disabled"}
    monkeypatch.setattr(systemd, "properties", lambda _unit, _names: shown)
    assert services.component("gateway")(ctx).level == "fail"  # never started: no one's wish
    flag = ctx.paths.ready("gateway")
    flag.parent.mkdir(parents=True)
    flag.write_text("fingerprint")
    assert services.component("gateway")(ctx).level == "skip"


@pytest.mark.parametrize(
    ("alarm", "hint"),
    [("NOSPACE", "run: backendai-ctl etcd defragment"), ("CORRUPT", "restore")],
)
def test_an_alarm_of_etcd_is_named_with_what_helps(
    there: Context, etcd: FakeEtcd, alarm: str, hint: str
) -> None:
    users.create(there)
    seed.seed(there)
    etcd.alarms = [alarm]
    found = services.etcd(there)
    assert found.level == "fail" and alarm in found.message and hint in found.hint, found


def test_an_etcd_that_is_nearly_full_is_told_before_it_is(there: Context, etcd: FakeEtcd) -> None:
    users.create(there)
    seed.seed(there)
    etcd.size = int(ETCD_QUOTA * 0.75)
    assert services.etcd(there).level == "ok"
    etcd.size = int(ETCD_QUOTA * 0.85)
    found = services.etcd(there)
    assert (found.level, found.hint) == ("warn", "run: backendai-ctl etcd defragment"), found


def test_a_server_of_ours_that_does_not_answer_says_what_is_wrong_with_it(
    facts: Facts, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"ActiveState": "activating", "StatusText": "LOADING the dataset"}
    monkeypatch.setattr(systemd, "properties", lambda *_: shown)
    ctx = Context(facts, Site.model_validate({"cache": {"port": free_port}}))
    ctx.secrets.create("cache-password")
    found = services.cache(ctx)
    assert found.message.startswith(
        "connection refused; backendai-valkey.service is activating: LOADING"
    )
    assert "backendai-ctl logs valkey" in found.hint
    (facts.paths.units / "backendai-valkey.service").unlink()
    assert "apt install backendai-valkey" in services.cache(ctx).hint


def test_etcd_that_is_down_says_so_as_the_others_do(
    there: Context, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "properties", lambda *_: {"ActiveState": "failed"})
    there.site.etcd.endpoints[:] = [f"127.0.0.1:{free_port}"]
    found = services.etcd(there)
    assert found.level == "fail" and "backendai-etcd.service is failed" in found.message, found
