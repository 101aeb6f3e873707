"""prepare-etcd: logins that last, and a server that is set up as any of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shipped
from fake_etcd import FakeEtcd
from fake_systemd import FakeSystemd, install

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.platform import systemd
from backendai_ctl.site.schema import Etcd, Site
from backendai_ctl.steps.prepare_etcd import PrepareEtcd

STEP = PrepareEtcd()

UNIT = "backendai-etcd.service"


@pytest.fixture(autouse=True)
def host(there: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    shipped.templates(there.paths.share)
    return install(monkeypatch, tmp_path / "system")


def test_a_second_run_finds_nothing(there: Context, etcd: FakeEtcd, host: FakeSystemd) -> None:
    assert [change.how for change in STEP.check(there)] == ["write it", "write it"]
    STEP.apply(there)
    assert host.active[UNIT] == "active" and etcd.auth
    revisions = etcd.revision, etcd.auth_revision
    assert STEP.check(there) == []
    assert (etcd.revision, etcd.auth_revision) == revisions


def test_its_tokens_are_signed_and_last(there: Context) -> None:
    """Services log in once, when they start; the secret that signs is in no file that is written."""
    STEP.apply(there)
    text = (there.paths.config / "etcd.json").read_text()
    kind, method, key, ttl = json.loads(text)["auth-token"].split(",")
    assert (kind, method) == ("jwt", "sign-method=HS256")
    assert key == f"priv-key=/run/credentials/{UNIT}/etcd-token"
    assert int(ttl.removeprefix("ttl=").removesuffix("h")) >= 365 * 24
    assert there.secrets.get("etcd-token") not in text
    assert there.facts.servers["etcd"].credentials == ("secrets/etcd-token",)


def test_another_secret_of_tokens_restarts_it(there: Context, host: FakeSystemd) -> None:
    STEP.apply(there)
    there.secrets.path("etcd-token").write_text("another\n")
    assert [change.how.split(":")[0] for change in STEP.check(there)] == ["restart it"]
    STEP.apply(there)
    assert host.calls[-1] == f"restart --no-block {UNIT}"


def test_one_that_runs_and_does_not_answer_is_pending(there: Context, free_port: int) -> None:
    there.site.etcd.endpoints[:] = [f"127.0.0.1:{free_port}"]
    with pytest.raises(Pending, match="connection refused"):
        STEP.apply(there)
    assert (there.paths.config / "etcd.json").exists()
    with pytest.raises(Pending):
        STEP.check(there)


def test_without_systemd_it_is_set_up_and_the_rest_is_pending(
    there: Context, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: False)
    with pytest.raises(Pending, match="next boot"):
        STEP.apply(there)
    assert there.paths.ready("etcd").exists() and etcd.calls == []


def test_one_of_yours_is_asked_and_not_changed(
    there: Context, etcd: FakeEtcd, host: FakeSystemd
) -> None:
    theirs = Context(
        there.facts, Site(etcd=Etcd(mode="external", endpoints=[etcd.endpoint], user=None))
    )
    assert STEP.check(theirs) == []
    STEP.apply(theirs)
    STEP.undo(theirs)
    assert host.calls == [] and set(etcd.calls) <= {"kv/range"}


def test_undo_stops_it_and_keeps_its_logins(
    there: Context, etcd: FakeEtcd, host: FakeSystemd
) -> None:
    """They are data, as its keys are: without `--data` it comes back as it was."""
    STEP.apply(there)
    users = dict(etcd.users)
    STEP.undo(there)
    assert host.active[UNIT] == "inactive" and etcd.users == users and etcd.auth
    assert not (there.paths.config / "etcd.json").exists()
    STEP.apply(there)
    assert STEP.check(there) == []
