"""Promise: an account that was there first is never taken for the services', whatever it has of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import artefacts
import pytest
from host import Host, Result
from scenario import SITE_PATH, Hosts, ctl
from suites import REPO, family

PACKAGES = tuple(f"backendai-{n}" for n in ("runtime", "common", "ctl", "gateway", "storage-proxy"))
UNIT = "backendai-gateway.service"
VOLUME = "/vfroot/volume1"
SITE = '[site]\nname = "Trial"\n'
TIMEOUT = 300  # seconds


@pytest.fixture(scope="module", params=["trixie", "el9"])
def host(
    request: pytest.FixtureRequest, hosts: Hosts, dist: artefacts.Dist, repositories: Path
) -> Iterator[Host]:
    """A host with a site file on which a person has the number that is the services' by default."""
    with hosts.boot(request.param, binds={repositories: REPO}) as made:
        made.sh("useradd -m -u 1100 alice")
        made.write(SITE_PATH, SITE)
        manager = family(request.param, dist)
        manager.add_repository(made)
        done = manager.install(made, PACKAGES)
        if request.param != "el9":  # dnf, told to be quiet, shows no line of a package's
            assert "is the account alice's" in pending(done), done
        yield made


def pending(done: Result) -> str:
    """The one line in which packages say what is not done; they are installed all the same."""
    (line,) = (line for line in (done.stdout + done.stderr).splitlines() if "pending: " in line)
    return line


def of_others(host: Host, name: str) -> str:
    """What belongs to an account or its group, but for its home."""
    owned = f"'(' -user {name} -o -group {name} ')'"
    return host.sh(f"find / -xdev -path /home -prune -o -path /var/mail -prune -o {owned} -print")


def refused(host: Host, reason: str) -> None:
    """By every command that would use the account, and with the way out; nothing of ours is there."""
    done = host.run(["backendai-ctl", "reconfigure"], timeout=TIMEOUT)
    assert done.returncode == 1 and reason in done.stderr and "[user]" in done.stderr, done
    status = ctl(host, "status", status=1)
    assert not status["ok"] and reason in status["unfinished"][0]["message"], status
    assert "[user]" in status["unfinished"][0]["hint"]
    findings = ctl(host, "doctor", "--preflight", status=1)["findings"]
    (found,) = (row for row in findings if (row["group"], row["name"]) == ("accounts", "user"))
    assert found["level"] == "fail" and reason in found["message"] and "[user]" in found["hint"]
    assert host.sh("ls /etc/backendai") == "site.toml"
    assert host.run(["systemctl", "is-active", UNIT]).stdout.strip() == "inactive"
    assert host.run(["test", "-e", VOLUME]).returncode


def test_a_number_that_is_taken_is_refused(host: Host) -> None:
    refused(host, "number 1100 of the services' user bai is the account alice's")
    assert of_others(host, "alice") == ""
    assert host.run(["getent", "passwd", "bai"]).returncode


def test_a_name_that_is_taken_is_refused(host: Host) -> None:
    host.sh("userdel -r alice; useradd -m -u 1600 bai")
    refused(host, "the account bai (1600:1600, /home/bai, ")
    assert of_others(host, "bai") == ""


def test_the_site_file_names_another_account(host: Host) -> None:
    host.write(SITE_PATH, f'{SITE}[user]\nname = "backend"\nuid = 2100\n')
    host.run(
        ["backendai-ctl", "reconfigure"], timeout=TIMEOUT
    )  # there are no servers: not all is done
    assert host.sh(f"systemctl is-active {UNIT}") == "active"
    assert host.sh("getent passwd backend").split(":")[2:4] == ["2100", "2100"]
    pid = host.sh(f"systemctl show {UNIT} --property=MainPID --value")
    assert host.sh(f"stat -c %U /proc/{pid}") == "backendai-gateway", "it has no files of users"
    owners = host.sh(f"stat -c %U:%G {VOLUME} {VOLUME}/version.txt").splitlines()
    assert owners == ["backend:backend"] * 2
    assert host.sh("getent passwd backend").split(":")[5] == "/var/lib/backendai"
    assert of_others(host, "bai") == ""
