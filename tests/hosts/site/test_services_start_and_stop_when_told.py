"""Promise: `backendai-ctl start`, `stop` and `restart` do it to what is named, or to all of the site."""

from __future__ import annotations

from own_servers import NFT, main_pid
from site_host import ALL_UNITS, SiteHost

WEB = "backendai-webserver.service"
STOPPED = ("inactive", "failed")
ROUND = 600  # seconds
JOBS = "systemctl list-jobs; journalctl -b --no-pager -o short-precise _PID=1 | grep -v testcmd | tail -n 120"
RULES = f"{NFT} --stateless list table inet backendai"


def running(site: SiteHost, *units: str) -> list[str]:
    said = site.host.run(["systemctl", "is-active", *units]).stdout.split()
    # One that took too long to stop was killed, and has failed; it is stopped as well.
    return [unit for unit, state in zip(units, said, strict=True) if state not in STOPPED]


def test_one_service_is_stopped_and_started_and_the_others_go_on(allinone: SiteHost) -> None:
    pid = main_pid(allinone.host, "manager")
    assert allinone.ctl("stop", "webserver")["units"] == [WEB]
    assert allinone.inactive() == [WEB]
    assert allinone.host.run(["backendai-ctl", "status"]).returncode == 1
    assert allinone.ctl("start", "webserver") == {
        "action": "start",
        "dry_run": False,
        "errors": [],
        "ok": True,
        "units": [WEB],
    }
    assert allinone.inactive() == []  # start waits until it serves
    assert main_pid(allinone.host, "manager") == pid
    allinone.ctl("restart", "manager", "webserver")
    assert allinone.inactive() == []
    assert main_pid(allinone.host, "manager") != pid


def test_the_whole_site_is_stopped_and_started(allinone: SiteHost) -> None:
    host = allinone.host
    rules = host.sh(RULES)
    planned = allinone.ctl("stop", "--dry-run")["units"]
    assert allinone.inactive() == []  # a dry run stops nothing
    try:
        assert allinone.ctl("stop", timeout=ROUND)["units"] == planned
        assert running(allinone, *ALL_UNITS, "backendai.target") == [], host.sh(JOBS)
        assert host.sh(RULES) == rules  # sessions go on, and stay confined
        nothing = host.run(["backendai-ctl", "restart"])
        assert nothing.returncode == 3, nothing
        assert "hint: run: backendai-ctl start" in nothing.stderr, nothing
    finally:  # whatever failed: others need them
        allinone.ctl("start", timeout=ROUND)
    assert allinone.inactive() == []
    allinone.wait_healthy()


def test_what_is_not_of_the_site_is_refused(allinone: SiteHost) -> None:
    for word, name, said in (
        ("restart", "webservr", "hint: did you mean webserver?"),
        ("stop", "cron", "no component 'cron' on this host"),
    ):
        refused = allinone.host.run(["backendai-ctl", word, name])
        assert refused.returncode == 2 and said in refused.stderr, refused
    assert allinone.inactive() == []
