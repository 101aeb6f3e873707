"""Promise: `accept` uses the site as a user does, says what does not work, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from own_servers import sql
from scenario import ctl
from site_host import SiteHost

KEPT = "/var/lib/backendai/ctl/accept"
KEY = "/srv/acceptance.pem"
TRIED = {
    "account": ["sign-in", "removed"],
    "storage": ["local:volume1", "local:volume1 removed"],
    "node site": ["session", "computing", "files", "notebook", "terminal", "ssh", "end"],
    "cluster default": ["containers", "exchange", "end"],
}
# A session of two containers takes both cores of the host: by itself one of them is the host's.
ROOMY = """
[agent]
reserved_cpu = 0

[sessions]
containers = 2
"""
ONE = "UPDATE keypair_resource_policies SET max_containers_per_session = 1 WHERE is_default"
# Database and rows in which deployments are kept: others' are there as well.
KEPT_OF_MODELS = (
    ("backendai", "endpoints"),
    ("backendai", "endpoint_tokens"),
    ("backendai_appproxy", "endpoints"),
    ("backendai_appproxy", "circuits WHERE endpoint_id IS NOT NULL"),
)
TIMEOUT = 400  # seconds


@pytest.fixture(scope="module")
def accepted(allinone: SiteHost) -> Any:
    allinone.host.sh(f"openssl genpkey -algorithm ed25519 -out {KEY}")
    with allinone.described(ROOMY):
        report = allinone.ctl("accept", "--sign", KEY, timeout=TIMEOUT)
    sql(allinone.host, ONE, "backendai")  # the site file is gone, what it said is not
    return report


def tried(report: Any) -> dict[str, list[str]]:
    """{group: what was tried in it}."""
    found: dict[str, list[str]] = {}
    for row in report["outcomes"]:
        found.setdefault(row["group"], []).append(row["name"])
    return found


def rows(site: SiteHost, database: str, those: str) -> str:
    """How many there are."""
    return sql(site.host, f"SELECT count(*) FROM {those}", database)


def test_everything_is_tried_and_works(accepted: Any) -> None:
    assert tried(accepted) == TRIED
    assert {row["level"] for row in accepted["outcomes"]} == {"ok"}, accepted
    rows = {(row["group"], row["name"]): row["message"] for row in accepted["outcomes"]}
    assert rows["cluster default", "containers"] == "main1 on site, sub1 on site"


def test_the_report_is_kept_and_signed(allinone: SiteHost, accepted: Any) -> None:
    written = accepted["written"]
    for kind in ("json", "text", "html", "signature"):
        assert allinone.host.sh(f"stat -c '%a %U' {written[kind]}") == "640 root"
    assert allinone.host.sh(f"sha256sum < {written['json']}").split()[0] == written["sha256"]
    allinone.host.sh(
        f"openssl pkey -in {KEY} -pubout -out /srv/accept.pub && openssl pkeyutl -verify -rawin "
        f"-pubin -inkey /srv/accept.pub -in {written['json']} -sigfile {written['signature']}"
    )


def test_nothing_is_left(allinone: SiteHost, accepted: Any) -> None:
    assert accepted["ok"]
    accounts = "SELECT count(*) FROM users WHERE email LIKE '%@accept.invalid'"
    assert sql(allinone.host, accounts, "backendai") == "0"
    assert allinone.host.sh("find /vfroot -name asked.bin") == ""


def test_what_does_not_work_is_said(allinone: SiteHost, accepted: Any) -> None:
    """And beside it what the report before says."""
    host = allinone.host
    host.check(["systemctl", "stop", "backendai-appproxy-worker"])
    try:
        said = ctl(host, "accept", "--node", "site", timeout=TIMEOUT, status=1)
    finally:
        host.check(["systemctl", "start", "backendai-appproxy-worker"], timeout=200)
    allinone.wait_healthy()
    assert not said["ok"]
    rows = {row["name"]: row for row in said["outcomes"]}
    assert said["last"] == accepted["time"]
    assert said["missing"] == ["cluster default: exchange", "cluster default: end"]
    for name in ("notebook", "terminal"):
        assert rows[name]["level"] == "fail" and rows[name]["hint"], rows[name]
        assert rows[name]["before"]["level"] == "ok"
    assert {rows[name]["level"] for name in ("computing", "ssh", "end")} == {"ok"}
    assert (
        rows["containers"]["level"] == "skip"
        and "[sessions] containers" in rows["containers"]["message"]
    )


@pytest.mark.breadth  # minutes; test_a_model_answers.py asks the same of the site
def test_a_model_is_deployed_asked_and_gone(allinone: SiteHost) -> None:
    before = {place: rows(allinone, *place) for place in KEPT_OF_MODELS}
    report = allinone.ctl("accept", "--model", timeout=900)
    assert tried(report)["model"] == ["deployment", "answer", "token", "end"]
    told = [row for row in report["outcomes"] if row["group"] in ("model", "account")]
    assert {row["level"] for row in told} == {"ok"}, told
    assert {place: rows(allinone, *place) for place in KEPT_OF_MODELS} == before
    assert allinone.host.sh("find /vfroot -name tiny.gguf") == ""
    assert (
        allinone.host.sh("backendai-ctl docker ps -aq --filter label=ai.backend.session-id") == ""
    )


def test_a_wrong_request_tries_nothing(allinone: SiteHost) -> None:
    allinone.host.sh("umask 077; echo no-password > /srv/wrong")
    for words, status, reason in (
        (["--node", "nowhere"], 2, "no node 'nowhere' has an agent"),
        (["--password-file", "/srv/wrong"], 1, "could not sign in"),
        (["--email", "who@example.org"], 2, "--email needs --password-file"),
    ):
        said = ctl(allinone.host, "accept", *words, status=status)
        assert reason in said["errors"][0]["message"], said
        assert said["errors"][0]["hint"] and "outcomes" not in said
