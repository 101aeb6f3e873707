"""Promise: all packages of ours go to the release of the bundle together, forth and back, or none does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import artefacts
import bundles
import earlier
import pytest
from bundles import MEDIUM, STATE
from host import Host, Result
from installing import KEYRING, refused
from scenario import Hosts

EARLIER = "26.9.2-1"
ROLE = ("--role", "storage-node", "--no-recommends")
NO_CONFIGURE = {"BACKENDAI_NO_CONFIGURE": "1"}
ELSEWHERE = ("runtime", "common", "client")


@pytest.fixture(scope="module")
def two(
    dist: artefacts.Dist,
    key: bundles.Key,
    other_key: bundles.Key,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[bundles.Bundle, bundles.Bundle]]:
    """A bundle of an earlier release without the client, and one of the packages under test.

    The later one announces another key, for the releases that follow.
    """
    folder = tmp_path_factory.mktemp("two")
    had = [name for name in bundles.SMALL if name != "client"]
    before = earlier.release(dist, had, EARLIER, folder / "packages", rpms=False)
    old = bundles.make(folder / "old", before, key, packages=had, number=1, version=EARLIER)
    yield old, bundles.make(folder / "new", dist, key, number=2, trusted=[other_key])


def run(host: Host, folder: str, *words: str) -> Result:
    return host.run([f"{folder}/install.sh", *words], env=NO_CONFIGURE, timeout=300)


def debs(host: Host) -> dict[str, str]:
    """Our packages and their versions, all of them whole."""
    shown = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n' 'backendai-*'"
    rows = [row.split() for row in host.sh(shown).splitlines()]
    assert {row[2] for row in rows} == {"installed"}
    return {row[0]: row[1] for row in rows}


def rpms(host: Host) -> dict[str, str]:
    query = "%{NAME} %{VERSION}-%{RELEASE}\\n"
    rows = host.check(["rpm", "-qa", "--qf", query, "backendai-*"]).stdout.splitlines()
    return dict(tuple(row.split()) for row in rows)  # type: ignore[misc]


def asked_for(host: Host) -> set[str]:
    """Our packages that dnf keeps for their own sake."""
    said = host.check(["dnf", "-q", "repoquery", "--userinstalled", "--qf", "%{name}"], timeout=120)
    return {name for name in said.stdout.split() if name.startswith("backendai-")}


def test_forth_and_back_on_debian(hosts: Hosts, two: tuple[bundles.Bundle, bundles.Bundle]) -> None:
    old, new = two
    with hosts.boot("trixie", binds={old.folder: "/old", new.folder: MEDIUM}) as host:
        first = run(host, "/old", *ROLE)
        assert first.returncode == 0, first
        at_old = debs(host)
        assert set(at_old.values()) == {EARLIER}
        marks = host.sh("apt-mark showauto | grep ^backendai")

        # Asked for one package alone, the others come along: they need each other's version.
        forth = run(host, MEDIUM, "--role", "storage-proxy", "--no-recommends")
        assert forth.returncode == 0, forth
        assert f"are upgraded from {EARLIER}" in forth.stdout
        at_new = debs(host)
        assert set(at_new) == set(at_old)
        assert EARLIER not in at_new.values()
        manual = {"backendai-storage-proxy"}
        assert (
            set(host.sh("apt-mark showauto | grep ^backendai").split())
            == set(marks.split()) - manual
        )

        refused(run(host, "/old", *ROLE), "older than the newest seen")
        # Where apt brought the later release and no script of ours knows of it, the packages tell.
        host.sh(f"mv {STATE}/newest /tmp/newest")
        for words in (ROLE, ()):
            said = refused(run(host, "/old", *words), f"newer than {EARLIER}")
            assert "--allow-older" in said
        host.sh(f"mv /tmp/newest {STATE}/newest")
        assert debs(host) == at_new
        back = run(host, "/old", "--allow-older", *ROLE)
        assert back.returncode == 0, back
        assert "Go back" in back.stdout
        assert "Done:" in back.stdout
        assert debs(host) == at_old
        # What it knows of keys does not go back.
        keys = f"{MEDIUM}/keys/backendai-archive-keyring.gpg"
        assert host.run(["cmp", keys, KEYRING]).returncode == 0

        # A package that the older release does not have cannot stay beside it: nothing is changed.
        assert run(host, MEDIUM, "--role", "client", "--no-recommends").returncode == 0
        with_client = debs(host)
        assert set(with_client) == {*at_old, "backendai-client"}
        assert EARLIER not in with_client.values()
        source = host.sh("cat /etc/apt/sources.list.d/backendai.sources")
        said = refused(run(host, "/old", "--allow-older", *ROLE), "backendai-client is installed")
        assert "apt-get remove backendai-client" in said
        assert debs(host) == with_client
        assert host.sh("cat /etc/apt/sources.list.d/backendai.sources") == source


def test_what_apt_did_not_do_is_not_called_done(
    hosts: Hosts, two: tuple[bundles.Bundle, bundles.Bundle]
) -> None:
    """apt says 0 and leaves a package as it is: an administrator's wrapper, a hook, a fault of ours."""
    old, new = two
    with hosts.boot("trixie", binds={old.folder: "/old", new.folder: MEDIUM}) as host:
        assert run(host, "/old", *ROLE).returncode == 0
        host.sh("mv /usr/bin/apt-get /usr/bin/apt-get.real")
        script = (
            '#!/bin/sh\ncase " $* " in *" -s "* | *" update "*) exec apt-get.real "$@" ;; esac\n'
            'echo "backendai-storage-node is already the newest version"\n'
        )
        host.write("/usr/bin/apt-get", script)
        host.sh("chmod 755 /usr/bin/apt-get")
        said = refused(run(host, MEDIUM, *ROLE), f"and is {EARLIER} installed")
        assert "Done" not in said


def test_forth_and_back_on_enterprise_linux(
    hosts: Hosts, dist: artefacts.Dist, key: bundles.Key, tmp_path: Path
) -> None:
    before = earlier.release(dist, ELSEWHERE, EARLIER, tmp_path / "packages", rpms=True)
    make = partial(bundles.make, packages=ELSEWHERE, rpms=True)
    old = make(tmp_path / "old", before, key, number=1, version=EARLIER)
    new = make(tmp_path / "new", dist, key, number=2)
    with hosts.boot("el9", binds={old.folder: "/old", new.folder: MEDIUM}) as host:
        assert run(host, "/old", "--role", "client").returncode == 0
        at_old = rpms(host)
        assert run(host, "/old", "--role", "client").returncode == 0
        assert asked_for(host) == {"backendai-client"}
        assert set(at_old.values()) == {EARLIER}
        forth = run(host, MEDIUM, "--role", "common")
        assert forth.returncode == 0, forth
        at_new = rpms(host)
        assert set(at_new) == set(at_old)
        assert EARLIER not in at_new.values()
        refused(run(host, "/old", "--role", "client"), "older than the newest seen")
        back = run(host, "/old", "--allow-older", "--role", "client")
        assert back.returncode == 0, back
        assert asked_for(host) == {"backendai-client"}
        assert rpms(host) == at_old
