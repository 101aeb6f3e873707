"""seed-etcd as a step: what it shows, and when services have to read settings again."""

from __future__ import annotations

import pytest
from fake_etcd import FakeEtcd

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.etcd import seed
from backendai_ctl.steps.seed_etcd import SeedEtcd

STEP = SeedEtcd()


def test_a_plan_without_secrets_then_nothing_to_do(there: Context, etcd: FakeEtcd) -> None:
    shown = {change.what: change.how for change in STEP.check(there)}
    assert shown["config/redis/addr"] == "(absent) -> 127.0.0.1:8110"
    assert shown["config/redis/password"] == "(absent) -> (secret)"
    assert there.secrets.get("storage-manager") not in str(shown)
    STEP.apply(there)
    before = etcd.revision, seed.flag(there).stat().st_mtime_ns
    assert STEP.check(there) == []
    STEP.apply(there)
    assert (etcd.revision, seed.flag(there).stat().st_mtime_ns) == before


def test_edits_are_told(there: Context, etcd: FakeEtcd) -> None:
    said: list[str] = []
    STEP.apply(there)
    etcd.put("/sorna/local/volumes/exposed_volume_info", "used")
    STEP.apply(Context(there.facts, there.site, said.append))
    assert said == ["  kept your volumes/exposed_volume_info: percentage -> used"]
    assert STEP.check(there) == []


def test_seeding_by_somebody_else_makes_services_start_anew(there: Context, etcd: FakeEtcd) -> None:
    STEP.apply(there)
    own = "/backendai-packaged/local/base"
    etcd.put(own, etcd.values(own)[""])  # another host of the site
    assert [change.what for change in STEP.check(there)] == ["settings in etcd"]
    STEP.apply(there)
    assert STEP.check(there) == []


def test_etcd_that_is_down_is_pending_with_its_address(there: Context, free_port: int) -> None:
    there.site.etcd.endpoints[:] = [f"127.0.0.1:{free_port}"]
    STEP.undo(there)  # one that was not set up, or was purged, is not asked
    flag = there.paths.ready("etcd")
    flag.parent.mkdir(parents=True, exist_ok=True)
    flag.write_text("started with this\n")
    for act in (STEP.check, STEP.apply, STEP.undo):
        with pytest.raises(Pending, match=str(free_port)):
            act(there)
