"""Promise: settings in etcd that you changed or deleted stay so; all others follow the release.

On a real etcd: one transaction or none, also when it is killed; a plan without effect; a way back.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from host import Host, Result
from own_servers import PORTS, UNITS, etcdctl

SERVICES = "/sorna/local/"
OWN = "/backendai-packaged/local/"
SITE = "/etc/backendai/site.toml"
COPIES = "/var/backups/backendai/etcd-*.json"
INFO = "volumes/exposed_volume_info"
CLIENT = "volumes/proxies/local/client_api"
SECRETS = ("cache-password", "storage-manager", "etcd-manager", "etcd-root-password")


def ctl(host: Host, *words: str) -> Any:
    return json.loads(host.check(["backendai-ctl", "etcd", *words, "--json"]).stdout)


def hows(changes: list[dict[str, str]]) -> dict[str, str]:
    """What happens to each key."""
    return {change["what"]: change["how"] for change in changes}


def put(host: Host, key: str, value: str) -> None:
    etcdctl(host, f"put {key} {shlex.quote(value)}")


def settings(host: Host) -> dict[str, str]:
    """What the services would read, without what they write themselves."""
    rows = json.loads(etcdctl(host, f"get --prefix {SERVICES} --write-out=json")).get("kvs", [])
    plain = {_text(row["key"]): _text(row.get("value", "")) for row in rows}
    return {
        key.removeprefix(SERVICES): value
        for key, value in plain.items()
        if key.startswith((f"{SERVICES}config/", f"{SERVICES}volumes/"))
    }


def revision(host: Host) -> int:
    (status,) = json.loads(etcdctl(host, "endpoint status --write-out=json"))
    return int(status["Status"]["header"]["revision"])


def shipped_before(host: Host, values: Mapping[str, str]) -> None:
    """Make etcd as an earlier release, which shipped `values`, left it."""
    base = json.loads(etcdctl(host, f"get --print-value-only {OWN}base"))
    base.update(values)
    put(host, f"{OWN}base", json.dumps(base))
    for key, value in values.items():
        put(host, SERVICES + key, value)


def fresh(host: Host) -> None:
    """Settings as the first run writes them, and no site file."""
    host.sh(f"systemctl start {UNITS['etcd']}; rm -f {SITE}")
    for prefix in (OWN, f"{SERVICES}config/", f"{SERVICES}volumes/"):
        etcdctl(host, f"del --prefix {prefix}")
    ctl(host, "seed")


@pytest.fixture
def seeded(configured: Host) -> Iterator[Host]:
    """A host with fresh settings, before and after."""
    fresh(configured)
    yield configured
    fresh(configured)


def test_edits_stay_deletions_stay_and_the_rest_follows(seeded: Host) -> None:
    shipped = settings(seeded)
    shipped_before(seeded, {INFO: "used", "volumes/_types/user": "old", "volumes/gone": "x"})
    put(seeded, f"{SERVICES}{CLIENT}", "https://mine.example")
    put(seeded, f"{SERVICES}config/docker/image/auto_pull", "tag")  # never shipped
    etcdctl(seeded, f"del {SERVICES}volumes/_types/group")
    said = ctl(seeded, "seed")
    assert set(hows(said["changes"])) == {INFO, "volumes/_types/user", "volumes/gone"}
    assert hows(said["kept"]) == {
        CLIENT: "https://localhost:6021 -> https://mine.example",
        "volumes/_types/group": '"" -> (absent)',
    }
    del shipped["volumes/_types/group"]
    mine = {CLIENT: "https://mine.example", "config/docker/image/auto_pull": "tag"}
    assert settings(seeded) == {**shipped, **mine}


def test_what_the_site_file_says_is_followed_unless_edited(seeded: Host) -> None:
    seeded.write(SITE, '[site]\naddress = "one.example"\n')
    ctl(seeded, "seed")
    assert settings(seeded)[CLIENT] == "https://one.example:6021"
    put(seeded, f"{SERVICES}{CLIENT}", "https://mine.example")
    seeded.write(SITE, '[site]\naddress = "two.example"\n')
    ctl(seeded, "seed")
    assert settings(seeded)[CLIENT] == "https://mine.example"
    ctl(seeded, "seed", "--take", CLIENT)
    assert settings(seeded)[CLIENT] == "https://two.example:6021"


def test_a_plan_has_no_effect_and_a_second_run_writes_nothing(seeded: Host) -> None:
    shipped_before(seeded, {INFO: "used"})
    before = revision(seeded), settings(seeded)
    planned = ctl(seeded, "seed", "--dry-run")
    assert planned["dry_run"] and hows(planned["changes"]) == {INFO: "used -> percentage"}
    assert hows(ctl(seeded, "diff")["changes"]) == {INFO: "used -> percentage"}
    assert (revision(seeded), settings(seeded)) == before
    ctl(seeded, "seed")
    after = revision(seeded)
    assert after > before[0]
    again = ctl(seeded, "seed")
    assert (again["changes"], again["kept"], again["dry_run"]) == ([], [], False)
    assert revision(seeded) == after


def test_undo_restores_what_was_there_and_it_stays(seeded: Host) -> None:
    shipped_before(seeded, {INFO: "used", "volumes/gone": "x"})
    put(seeded, f"{SERVICES}{CLIENT}", "https://mine.example")
    before = settings(seeded)
    ctl(seeded, "seed")
    assert settings(seeded) != before
    assert set(hows(ctl(seeded, "undo", "--dry-run")["changes"])) == {INFO, "volumes/gone"}
    ctl(seeded, "undo")
    assert settings(seeded) == before
    ctl(seeded, "seed")
    assert settings(seeded) == before


def test_copies_are_made_before_changes_for_root_alone(seeded: Host) -> None:
    for value in ("a", "b", "c", "d", "e", "f"):
        shipped_before(seeded, {INFO: value})
        ctl(seeded, "seed")
    found = seeded.sh(f"stat -c '%a %U %n' {COPIES}").splitlines()
    assert len(found) == 5
    assert {line.rsplit(" ", 1)[0] for line in found} == {"600 root"}
    newest = json.loads(seeded.sh(f"cat {found[-1].split()[-1]}"))
    assert newest[SERVICES + INFO] == "f"  # as it was before


def test_killed_at_any_time_it_is_done_or_not_begun(seeded: Host) -> None:
    done, wait = 0, 0.2  # seconds; ever longer, until this machine has the time to finish
    while done < 3 and wait < 60:
        shipped_before(seeded, {INFO: "used", "volumes/_types/user": "old"})
        before = settings(seeded)
        after = {**before, INFO: "percentage", "volumes/_types/user": ""}
        seeded.run(["timeout", "-s", "KILL", f"{wait:.2f}", "backendai-ctl", "etcd", "seed"])
        now = settings(seeded)
        assert now in (before, after)
        done += now == after
        ctl(seeded, "seed")
        assert settings(seeded) == after
        wait *= 1.25
    assert done == 3, "it never finished in a minute"


def test_without_etcd_it_says_so_and_a_later_run_finishes(seeded: Host) -> None:
    shipped_before(seeded, {INFO: "used"})
    seeded.sh(f"systemctl stop {UNITS['etcd']}")
    for words in (["seed"], ["diff"], ["undo"], ["seed", "--dry-run"]):
        result = seeded.run(["backendai-ctl", "etcd", *words])
        assert result.returncode == 3
        assert f"etcd at 127.0.0.1:{PORTS['etcd']}: connection refused" in result.stderr
        assert "hint:" in result.stderr
    assert seeded.run(["backendai-ctl", "etcd", "status"]).returncode == 1
    seeded.sh(f"systemctl start {UNITS['etcd']}")
    ctl(seeded, "seed")
    assert settings(seeded)[INFO] == "percentage"


def test_no_output_has_a_secret(seeded: Host) -> None:
    secrets = [seeded.sh(f"cat /etc/backendai/secrets/{name}") for name in SECRETS]
    put(seeded, f"{SERVICES}config/redis/password", "typed-by-hand")
    outputs: list[Result] = []
    for words in (["diff"], ["status"], ["seed", "--dry-run"], ["seed"], ["undo", "--dry-run"]):
        outputs.append(seeded.check(["backendai-ctl", "etcd", *words]))
        outputs.append(seeded.check(["backendai-ctl", "etcd", *words, "--json"]))
    said = "".join(result.stdout + result.stderr for result in outputs)
    assert "config/redis/password: (secret) -> another (secret)" in said
    assert [secret for secret in [*secrets, "typed-by-hand"] if secret in said] == []


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
