"""What the files of the site's own servers say, on a single host and on nodes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from site_nodes import as_node, site_of

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.rendering import render
from backendai_ctl.site.schema import Cache, Database, Etcd, Site
from backendai_serve.cache import LOGINS

NODES = site_of(
    mgmt="10.77.0.1 management storage",
    mgmt2="10.77.0.5 management",
    edge="fd00::21 edge",
    gpu1="10.77.0.11 compute",
)
OPEN = "scram-sha-256"
Node = Callable[..., Context]


@pytest.fixture
def node(ready: Context) -> Node:
    """The management node of a site; the argument is added to the site file."""

    return lambda more="", site_file=NODES: as_node(ready.facts, "mgmt", site_file + more)


def text(ctx: Context, name: str) -> str:
    return render.render_file(ctx, name, "a-package")


def lines(ctx: Context, name: str) -> list[str]:
    """Without what is no setting."""
    return [line for line in text(ctx, name).splitlines() if line and not line.startswith("#")]


def postgresql(ctx: Context) -> dict[str, str]:
    """The settings as PostgreSQL takes them: the last one counts."""
    return dict(line.split(" = ", 1) for line in lines(ctx, "postgresql.conf"))


def valkey(ctx: Context) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in lines(ctx, "valkey.conf"))


def etcd(ctx: Context) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(text(ctx, "etcd.json"))
    return made


def with_memory(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": int(gib * 2**30 / 4096)}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)


def test_every_server_gets_its_files_and_knows_its_ports(ready: Context) -> None:
    for server in ready.facts.servers.values():
        assert server.config in server.templates
        for name in server.templates:
            assert text(ready, name).strip(), name
    assert postgresql(ready)["port"] == "8100" and valkey(ready)["port"] == "8110"
    assert etcd(ready)["listen-client-urls"] == "http://127.0.0.1:8120"


def test_another_port_of_the_site_file_is_taken_however_it_says_it(ready: Context) -> None:
    for tables in ({"port": 8200}, {"endpoints": ["localhost:8200"]}):
        ctx = Context(ready.facts, Site.model_validate({"database": tables}))
        assert postgresql(ctx)["port"] == "8200"
    ctx = Context(ready.facts, Site(etcd=Etcd(endpoints=["127.0.0.1:8200"])))
    assert etcd(ctx)["listen-client-urls"] == "http://127.0.0.1:8200"


def test_on_a_single_host_nothing_leaves_loopback(ready: Context) -> None:
    assert postgresql(ready)["listen_addresses"] == "'127.0.0.1'"
    assert valkey(ready)["bind"].split() == ["127.0.0.1", "-::1"]
    for key, value in etcd(ready).items():
        if key.endswith("-urls"):
            assert value.startswith("http://127.0.0.1:") and "," not in value, key
    assert lines(ready, "pg_hba.conf") == [
        "local all all peer",
        f"host all all 127.0.0.1/32 {OPEN}",
        f"host all all ::1/128 {OPEN}",
    ]


def test_where_nodes_need_it_it_listens_at_the_nodes_address_as_well(node: Node) -> None:
    ctx = node()
    assert postgresql(ctx)["listen_addresses"] == "'127.0.0.1,10.77.0.1'"
    assert valkey(ctx)["bind"].split() == ["127.0.0.1", "-::1", "10.77.0.1"]
    made = etcd(ctx)
    assert made["listen-client-urls"] == "http://127.0.0.1:8120,http://10.77.0.1:8120"
    assert made["advertise-client-urls"] == "http://10.77.0.1:8120"
    peers = {made[k] for k in ("listen-peer-urls", "initial-advertise-peer-urls")}
    assert peers == {"http://127.0.0.1:8121"}, "no node needs the port of members"


def test_each_node_gets_to_its_own_databases_and_nobody_else_does(node: Node) -> None:
    assert lines(node(), "pg_hba.conf")[3:] == [
        f'host "backendai" "backendai" "10.77.0.5/32" {OPEN}',
        f'host "backendai_appproxy" "backendai_appproxy" "fd00::21/128" {OPEN}',
    ]


def test_words_of_the_rules_are_names_in_them(node: Node) -> None:
    """A node that is called "all" lets in no other host, a role of that name no other role."""
    nodes = NODES.replace('"10.77.0.5"', '"all"')
    ctx = node('[database.manager]\nuser = "all"\n', nodes)
    found = lines(ctx, "pg_hba.conf")[3:]
    assert f'host "backendai" "all" "all" {OPEN}' in found
    assert not [line for line in found if " all" in line]


def test_no_rule_trusts_anybody_without_a_password(node: Node, ready: Context) -> None:
    for ctx in (node(), ready):
        assert {line.split()[-1] for line in lines(ctx, "pg_hba.conf")} == {"peer", OPEN}
        assert postgresql(ctx)["password_encryption"] == OPEN


def users(ctx: Context) -> dict[str, tuple[str, list[str]]]:
    """{user of Valkey: (its secret, what it may)}."""
    rows = [line.split() for line in text(ctx, "valkey.acl").splitlines() if line]
    secrets = {
        hashlib.sha256(ctx.secrets.get(name).encode()).hexdigest(): name
        for name in ("cache-password", "cache-root-password", "cache-manager", "cache-webserver")
    }
    return {row[1]: (secrets[row[3].removeprefix("#")], row[4:]) for row in rows}


def test_who_is_signed_in_is_in_a_database_that_web_servers_alone_enter(ready: Context) -> None:
    found = users(ready)
    assert found["backendai-ctl"] == ("cache-root-password", ["~*", "&*", "+@all"])
    entered = {
        user: [int(one.removeprefix("+select|")) for one in rights if one.startswith("+select|")]
        for user, (_, rights) in found.items()
        if user != "backendai-ctl"
    }
    assert entered == {
        "default": list(range(LOGINS)),
        "manager": list(range(LOGINS + 1)),
        "webserver": [1, LOGINS],
    }
    others = ["-@admin", "-flushall", "-swapdb", "-move", "-copy", "-migrate", "-client|tracking"]
    for user in entered:
        rights = found[user][1]
        assert {*others, "-select"} <= {*rights} and rights.index("-select") < len(rights) - 1
    given = Site(cache=Cache(password_file=password_of(ready)))
    assert "user webserver" not in text(replace(ready, site=given), "valkey.acl")


def password_of(ctx: Context) -> Path:
    """A file of the operator's."""
    path = ctx.paths.config / "given"
    path.write_text("theirs\n")
    path.chmod(0o600)
    return path


def test_no_password_is_in_the_clear(ready: Context) -> None:
    """Valkey is given what it compares with; its supervisor alone has the password, to ask how it is."""
    password = ready.secrets.get("cache-password")
    assert text(ready, "valkey.password") == f"{password}\n"
    for name, _ in users(ready).values():
        digest = hashlib.sha256(ready.secrets.get(name).encode()).hexdigest()
        assert f" on #{digest} " in text(ready, "valkey.acl")
    secrets = [ready.secrets.get(path.name) for path in ready.paths.secrets.iterdir()]
    for server in ready.facts.servers.values():
        for name in set(server.templates) - {"valkey.password"}:
            made = text(ready, name)
            assert not [secret for secret in secrets if secret in made], name


def test_the_journal_of_postgresql_tells_no_row(ready: Context) -> None:
    """Details and statements of errors hold them, keys and hashes of passwords too."""
    found = postgresql(ready)
    assert (found["log_error_verbosity"], found["log_min_error_statement"]) == ("terse", "panic")


def test_a_password_of_yours_is_taken(ready: Context) -> None:
    given = ready.paths.config / "mine"
    given.write_text("ours alone\n")
    given.chmod(0o600)
    ctx = Context(ready.facts, Site(cache=Cache(password_file=given)))
    digest = hashlib.sha256(b"ours alone").hexdigest()
    assert f"#{digest} " in text(ctx, "valkey.acl")


@pytest.mark.parametrize(
    ("gib", "shared", "largest"),
    [(0.5, 128, 256), (3.7, 256, 512), (64, 4096, 8192), (2048, 4096, 16384)],
)
def test_memory_is_a_share_of_the_hosts(
    ready: Context, monkeypatch: pytest.MonkeyPatch, gib: float, shared: int, largest: int
) -> None:
    with_memory(monkeypatch, gib)
    assert postgresql(ready)["shared_buffers"] == f"{shared}MB"
    assert valkey(ready)["maxmemory"] == f"{largest}mb"


def test_another_kernel_that_sees_some_megabytes_less_restarts_nothing(
    ready: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory(monkeypatch, 15.6)
    before = text(ready, "postgresql.conf"), text(ready, "valkey.conf")
    with_memory(monkeypatch, 15.52)
    assert (text(ready, "postgresql.conf"), text(ready, "valkey.conf")) == before


def test_more_managers_may_have_more_connections(node: Node, ready: Context) -> None:
    one, two = (int(postgresql(ctx)["max_connections"]) for ctx in (ready, node()))
    assert two > one


def test_a_full_cache_refuses_and_forgets_nothing(ready: Context) -> None:
    assert valkey(ready)["maxmemory-policy"] == "noeviction"
    assert valkey(ready)["appendonly"] == "yes"


def test_etcd_says_what_doctor_compares_with(ready: Context) -> None:
    assert etcd(ready)["quota-backend-bytes"] == render.ETCD_QUOTA


SETTINGS: dict[str, Any] = {"jit": True, "fsync": False, "work_mem": "64MB", "max_wal_senders": 5}


def test_settings_of_the_site_file_come_last(ready: Context) -> None:
    """What comes last counts, in all three."""
    site = Site(
        database=Database(settings={**SETTINGS, "max_connections": 500}),
        cache=Cache(settings={"appendfsync": "always", "save": "900 1", "activedefrag": True}),
        etcd=Etcd(settings={"log-level": "info", "pre-vote": False, "max-txn-ops": 256}),
    )
    ctx = Context(ready.facts, site)
    found = postgresql(ctx)
    assert {key: found[key] for key in SETTINGS} == {
        "jit": "on",
        "fsync": "off",
        "work_mem": "'64MB'",
        "max_wal_senders": "5",
    }
    assert found["max_connections"] == "500"
    cache = valkey(ctx)
    assert (cache["appendfsync"], cache["save"], cache["activedefrag"]) == (
        "always",
        "900 1",
        "yes",
    )
    made = etcd(ctx)
    assert (made["log-level"], made["pre-vote"], made["max-txn-ops"]) == ("info", False, 256)
    assert made["data-dir"] == str(ready.paths.state / "etcd")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("it's", "'it''s'"),
        ("'; include = '/x", "'''; include = ''/x'"),
        ("a\\'b", "'a\\\\''b'"),
        ("%m [%p]", "'%m [%p]'"),
        (True, "on"),
        (False, "off"),
        (0.9, "0.9"),
        (17, "17"),
    ],
)
def test_a_value_for_postgresql_is_one_value(value: object, written: str) -> None:
    assert render.pg(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(True, "yes"), (False, "no"), (3, "3"), ("a b", "a b")]
)
def test_a_value_for_valkey_is_the_rest_of_its_line(value: object, written: str) -> None:
    assert render.words(value) == written


@pytest.mark.parametrize("filter", [render.pg, render.words])
@pytest.mark.parametrize("hostile", ["a\nport = 1", "a\rb", "a\0b", "\x1b[2J", "a\x85b", "\n"])
def test_no_value_brings_a_line_of_its_own(filter: Callable[[object], str], hostile: str) -> None:
    """The site file refuses it as well; this is what is left if it did not."""
    with pytest.raises(Problem, match="control character"):
        filter(hostile)


@pytest.mark.parametrize("table", ["database", "cache", "etcd"])
@pytest.mark.parametrize(
    "settings",
    [{"a": "b\nc"}, {"a": "b\n"}, {"a": ""}, {"a": [1]}, {"a": {"b": 1}}, {"a b": 1}, {"a\nb": 1}],
)
def test_the_site_file_takes_no_such_setting(table: str, settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"(?s){table}\.settings"):
        Site.model_validate({table: {"settings": settings}})


def test_every_credential_is_where_its_unit_has_it(ready: Context) -> None:
    named = re.findall(
        r"/run/credentials/([^/\s,\"]+)/([\w.-]+)",
        "".join(text(ready, name) for s in ready.facts.servers.values() for name in s.templates),
    )
    assert named
    for unit, name in named:
        (server,) = (s for s in ready.facts.servers.values() if s.unit == unit)
        given = (server.config, *server.credentials)
        assert name in {path.rpartition("/")[2] for path in given}
