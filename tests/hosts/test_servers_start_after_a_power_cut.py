"""Promise: however a host ends, PostgreSQL, Valkey and etcd of the site start again with what they had.

A power cut here is the end of the machine's processes at one blow; what a disk may do besides to the end
of Valkey's append-only file is done to it by hand. The tests are one story, on one disk.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import own_servers
import pytest
import stack as stacks
from host import Host, boot
from own_servers import ETCDCTL_AS, NAMES, PSQL, UNITS, VALKEY_LOGGED_IN
from scenario import disks

UP_TIMEOUT = 180  # seconds
WRITING = 6  # seconds
KEPT = "before every cut"
# One write after the other; what was confirmed is noted.
WRITE = {
    "postgresql": f'{PSQL} -d postgres -c "INSERT INTO torn VALUES ($i)"',
    "valkey": f"{VALKEY_LOGGED_IN} set torn-$i yes",
    "etcd": f"{ETCDCTL_AS['root']} put /torn/$i yes",
}
READ = {
    "postgresql": f'{PSQL} -d postgres -At -c "SELECT i FROM torn"',
    "valkey": f"{VALKEY_LOGGED_IN} --scan --pattern 'torn-*' | cut -d- -f2",
    "etcd": f"{ETCDCTL_AS['root']} get --prefix /torn/ --keys-only | grep . | cut -d/ -f3",
}
# Long enough to be cut.
LONG = f'{PSQL} -d postgres -c "INSERT INTO long SELECT generate_series(1, 100000000)"'


@dataclass
class Machine:
    """A host on a disk that stays. `folder` is the disk as this machine sees it."""

    stack: stacks.Stack
    disk: Path
    host: Host = field(init=False)
    _running: AbstractContextManager[Host] = field(init=False)

    @property
    def folder(self) -> Path:
        return self.disk / "u"

    def up(self) -> None:
        self._running = boot(self.stack.root, name="cut", privileged=True, upper=self.disk)
        self.host = self._running.__enter__()

    def cut(self) -> None:
        """Everything in it is killed; nothing is told."""
        watched = os.pidfd_open(self.host.leader)
        self.host.process.kill()
        select.select([watched], [], [], 60)
        os.close(watched)
        self._running.__exit__(None, None, None)

    def wait(self) -> None:
        """Until the servers run; nobody starts them here."""
        until = time.monotonic() + UP_TIMEOUT
        asked = ["systemctl", "is-active", *UNITS.values()]
        while self.host.run(asked).stdout.split() != ["active"] * len(UNITS):
            assert time.monotonic() < until, self.host.sh(
                f"systemctl status --no-pager {' '.join(UNITS.values())} || :"
            )
            time.sleep(0.5)

    def kept(self) -> None:
        """What was written first is there."""
        host = self.host
        assert own_servers.sql(host, "SELECT what FROM kept") == KEPT
        assert own_servers.valkey(host, "get kept") == KEPT
        assert own_servers.etcdctl(host, "get --print-value-only /kept") == KEPT


@pytest.fixture(scope="module")
def machine(
    configured_stack: stacks.Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """Servers that run, with something in each; at boot they start as those of a site do."""
    with disks(tmp_path_factory, "cut") as folder:
        made = Machine(configured_stack, folder)
        made.up()
        own_servers.start(made.host)
        made.host.sh("systemctl --quiet enable backendai.target")  # as the last step does
        own_servers.sql(
            made.host,
            f"CREATE TABLE kept AS SELECT '{KEPT}' AS what;"
            "CREATE TABLE torn (i int PRIMARY KEY); CREATE TABLE long (i int)",
        )
        own_servers.valkey(made.host, f"set kept '{KEPT}'")
        own_servers.etcdctl(made.host, f"put /kept '{KEPT}'")
        yield made
        made._running.__exit__(None, None, None)


def test_a_cut_amid_writes_loses_nothing_that_was_confirmed(machine: Machine) -> None:
    host = machine.host
    for name, write in WRITE.items():
        loop = (
            f"i=0; while :; do i=$((i + 1)); {write} >/dev/null && echo $i >>/var/tmp/{name}; done"
        )
        host.check(["systemd-run", "--quiet", "--", "/bin/sh", "-c", loop.replace("$", "$$")])
    host.check(["systemd-run", "--quiet", "--", "/bin/sh", "-c", LONG])
    until = time.monotonic() + UP_TIMEOUT
    notes = [machine.folder / f"var/tmp/{name}" for name in NAMES]
    while not all(note.exists() and note.stat().st_size > 20 for note in notes):
        assert time.monotonic() < until
        time.sleep(0.5)
    time.sleep(WRITING)
    machine.cut()

    machine.up()
    machine.wait()
    machine.kept()
    for name, read in READ.items():
        noted = (machine.folder / f"var/tmp/{name}").read_text().split("\n")[:-1]
        assert len(noted) > 5
        assert set(noted) - set(machine.host.sh(read).split()) == set(), name
    # Of what was not confirmed nothing is there, not a part of it.
    assert own_servers.sql(machine.host, "SELECT count(*) FROM long") == "0"


@pytest.mark.parametrize(
    "tail", [bytes(4096), b"*3\r\n$3\r\nSET\r\n$4\r\nhal"], ids=["zeroes", "half a command"]
)
def test_an_append_only_file_with_a_broken_end_is_kept_aside_and_mended(
    machine: Machine, tail: bytes
) -> None:
    own_servers.valkey(machine.host, f"set latest {len(tail)}")
    count = own_servers.valkey(machine.host, "dbsize")
    machine.cut()
    valkey = machine.folder / own_servers.DATA["valkey"].lstrip("/")
    [file] = (valkey / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as end:
        end.write(tail)
    broken, before = file.read_bytes(), set(valkey.glob("broken-*"))

    machine.up()
    machine.wait()
    machine.kept()
    assert own_servers.valkey(machine.host, "get latest") == str(len(tail))
    assert own_servers.valkey(machine.host, "dbsize") == count
    [aside] = set(valkey.glob("broken-*")) - before
    assert (aside / file.name).read_bytes() == broken
    said = machine.host.check(["backendai-ctl", "logs", "valkey"]).stdout
    assert f"kept in {own_servers.DATA['valkey']}/{aside.name}" in said, said
    assert not file.read_bytes().endswith(tail)


def test_a_file_that_is_whole_is_not_touched(machine: Machine) -> None:
    valkey = machine.folder / own_servers.DATA["valkey"].lstrip("/")
    before = set(valkey.glob("broken-*"))
    machine.cut()
    machine.up()
    machine.wait()
    machine.kept()
    assert set(valkey.glob("broken-*")) == before


@pytest.mark.parametrize("whom", ["all", "main", "the server"])
def test_processes_that_are_killed_come_back_by_themselves(machine: Machine, whom: str) -> None:
    host = machine.host
    before = {name: own_servers.main_pid(host, name) for name in NAMES}
    for name, unit in UNITS.items():
        if whom == "the server":
            host.sh(f"kill -9 {before[name]}")
        else:
            host.check(["systemctl", "kill", f"--kill-whom={whom}", "--signal=KILL", unit])
    until = time.monotonic() + UP_TIMEOUT
    while set(before.values()) & set(map(int, host.sh("pgrep .").split())):
        assert time.monotonic() < until
        time.sleep(0.1)
    machine.wait()
    machine.kept()
    after = {name: own_servers.main_pid(host, name) for name in NAMES}
    assert not set(before.values()) & set(after.values())
