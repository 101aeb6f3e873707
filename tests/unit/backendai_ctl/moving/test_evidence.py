"""Which servers of Debian's have data of this site: by what we left, never by asking around."""

from __future__ import annotations

from dataclasses import replace

import pytest
from earlier_release import STEPS, ended

from backendai_ctl.context import Context
from backendai_ctl.moving import evidence, record
from backendai_ctl.moving.evidence import Former, find
from backendai_ctl.platform import units
from backendai_ctl.rendering.render import base_path
from backendai_ctl.site.schema import Cache, Database, Etcd, Site

ALL = [
    Former("postgresql", "127.0.0.1", 5432),
    Former("valkey", "127.0.0.1", 6379),
    Former("etcd", "127.0.0.1", 2379),
]


def test_a_site_of_the_earlier_release_is_known_with_its_ports(earlier: Context) -> None:
    assert find(earlier) == ALL
    manager = base_path(earlier, earlier.facts.components["manager"])
    manager.write_text(manager.read_text().replace("5432", "5433").replace("2379", "23790"))
    assert [former.port for former in find(earlier)] == [5433, 6379, 23790]


def test_the_name_of_the_address_in_26_9_6_1_is_read_as_well(earlier: Context) -> None:
    manager = base_path(earlier, earlier.facts.components["manager"])
    manager.write_text('[db]\naddr = {host = "127.0.0.1", port = 5444}\n')
    assert find(earlier)[0].port == 5444


def test_a_fresh_host_has_nothing_to_move(ctx: Context) -> None:
    assert find(ctx) == []


def test_nothing_is_moved_once_a_run_of_this_release_ended_well(earlier: Context) -> None:
    ended(earlier, {**dict.fromkeys(STEPS, "done"), evidence.STEP: "done"})
    assert find(earlier) == []


@pytest.mark.parametrize("state", ["failed", "blocked", "pending"])
def test_a_run_that_failed_leaves_the_evidence(earlier: Context, state: str) -> None:
    ended(earlier, {evidence.STEP: state})
    assert find(earlier) == ALL


def test_a_fresh_host_whose_first_run_failed_has_nothing_to_move(ctx: Context) -> None:
    for name in ("database-manager", "database-coordinator"):
        ctx.secrets.create(name)
    ended(ctx, {"create-user": "failed", evidence.STEP: "blocked", "create-databases": "blocked"})
    assert find(ctx) == []


def test_external_servers_are_left_alone(earlier: Context) -> None:
    site = Site(
        database=Database(mode="external"),
        cache=Cache(mode="external"),
        etcd=Etcd(mode="external"),
    )
    assert find(replace(earlier, site=site)) == []


def test_a_server_that_we_never_set_up_is_somebody_elses(earlier: Context) -> None:
    (units.FOLDER / "valkey-server.service.d/backendai.conf").write_text("[Service]\n")
    (units.FOLDER / "etcd.service.d/backendai.conf").unlink()
    for name in ("database-manager", "database-coordinator"):
        earlier.secrets.path(name).unlink()  # they came in files: the site's own were never made
    assert find(earlier) == []


def test_passwords_of_the_operator_do_not_hide_a_database_of_ours(earlier: Context) -> None:
    for name in ("database-manager", "database-coordinator"):
        earlier.secrets.path(name).unlink()
    line = '{"event": "begin", "step": "create-databases", "changes": []}\n'
    (earlier.paths.ctl / "journal.jsonl").write_text(line)
    assert find(earlier)[0] == ALL[0]


def test_ours_on_the_port_of_before_is_not_taken_for_debians(earlier: Context) -> None:
    site = Site(database=Database(port=5432))
    here = replace(earlier, site=site)
    assert find(here)[0] == ALL[0]  # which the move refuses
    cluster = earlier.paths.state / "postgresql/17"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    assert [former.name for former in find(here)] == ["valkey", "etcd"]


def test_what_was_begun_is_known_from_the_record_alone(ctx: Context) -> None:
    record.note(ctx, state=record.MOVING, servers={"valkey": "127.0.0.1:6379"})
    assert find(ctx) == [ALL[1]]
    record.note(ctx, state=record.DONE)
    assert find(ctx) == []


def test_a_host_that_went_back_and_comes_again_is_known(earlier: Context) -> None:
    """The earlier release keeps no account of this step; a kill before the end is no way back."""
    record.note(earlier, state=record.DONE, servers={"valkey": "127.0.0.1:6379"})
    assert find(earlier) == []  # the result is older than the record: cut off before its end
    result = earlier.paths.ctl / "result.json"
    result.write_text(result.read_text().replace("2020-01-01", "2999-01-01"))
    assert find(earlier) == ALL
