"""Promise: whatever happens while a step runs, running `backendai-ctl reconfigure` again mends it.

Every step is killed, and meets every server that it builds on when it is down; every other one a full disk,
the rest a host without systemd. (With --all each of them meets all that there are, and is killed at three
moments.) Under the fault it may fail, wait or not care; afterwards one more run must end well, and the one
after that must find nothing to do. The start of the services meets them in a whole run, for it follows from
how the other steps ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import stack as stacks
from host import Host, Result
from own_servers import DATA, ENGINE, PSQL, UNITS

RUN_TIMEOUT = 420  # seconds for one run of backendai-ctl
# Seconds after a step began; a new kill each time. Without --all the first of them alone.
KILL_AFTER = (0.6, 0.15, 1.8)
KILL_START_AFTER = (6.0, 0.6)  # services take their time
SQL = f"{PSQL} -d postgres -c"

SERVICES = "start-services"

# What makes a step's work undone, so that the next fault meets it at work again. Services run for
# the last step alone.
DROP = "; ".join(
    f"{SQL} 'DROP DATABASE IF EXISTS {name} WITH (FORCE)'"
    for name in ("backendai", "backendai_appproxy")
)


def again(name: str, template: str) -> str:
    """Drop a database and make it as create-databases does, from a template."""
    return (
        f"{SQL} 'DROP DATABASE {name} WITH (FORCE)';"
        f" {SQL} 'CREATE DATABASE {name} TEMPLATE {template} OWNER {name}';"
        f" {SQL} 'REVOKE ALL ON DATABASE {name} FROM PUBLIC'"
    )


TAKE_BACK = (
    f"{stacks.PYTHON} -I -c 'from backendai_ctl import facts; from backendai_ctl.context import Context;"
    " from backendai_ctl.validation.load import load; from backendai_ctl.steps.plan import steps;"
    ' known = facts.load(); (step,) = [step for step in steps(known) if step.name == "{step}"];'
    " step.undo(Context(known, load(known.paths.site_file, known)))'"
)
MANAGER = f"{PSQL} -d backendai -c"
FORBID = "".join(
    f"UPDATE {table} SET allowed_vfolder_hosts = '{{}}';"
    for table in ("domains", "groups", "keypair_resource_policies")
)
UNDO = {
    "create-user": (
        "for name in $(getent passwd | sed -n 's/^\\(bai\\|backendai-[^:]*\\):.*/\\1/p'); do"
        " userdel $name 2>/dev/null || :; groupdel $name 2>/dev/null || :; done"
    ),
    # Servers begin with nothing again: what they keep is made while the fault lasts, too.
    **{
        f"prepare-{what}": TAKE_BACK.replace("{step}", f"prepare-{what}") + f"; rm -rf {data}"
        for what, data in (
            ("cache", f"{DATA['valkey']}/*"),
            ("etcd", f"{DATA['etcd']}/*"),
            ("database", f"{DATA['postgresql']}*"),
            ("engine", f"{ENGINE}/*"),
        )
    },
    "seed-etcd": TAKE_BACK.replace("{step}", "seed-etcd"),
    "create-secrets": "rm -rf /etc/backendai/secrets/storage-token",
    "create-certificates": "rm -rf /etc/backendai/tls",
    "create-rpc-keypair": "rm -rf /etc/backendai/rpc",
    "confine-containers": TAKE_BACK.replace("{step}", "confine-containers"),
    "create-volumes": "rm -rf /vfroot/volume1",
    "keep-session-files": "rm -rf /var/lib/backendai/session-files",
    "create-databases": DROP,
    "migrate-manager-schema": again("backendai", "template0"),
    "migrate-coordinator-schema": again("backendai_appproxy", "template0"),
    "load-initial-data": again("backendai", "schema_only"),
    "provision-roles": f"{MANAGER} 'DELETE FROM roles'",
    "create-resource-groups": f"{MANAGER} 'UPDATE scaling_groups SET name = gen_random_uuid()'",
    "register-app-proxy": f"{MANAGER} \"UPDATE scaling_groups SET wsproxy_addr = ''\"",
    "permit-volumes": f'{MANAGER} "DROP TABLE IF EXISTS backendai_ctl_permitted; {FORBID}"',
    "register-images": f"{MANAGER} 'DELETE FROM container_registries'",
    "serve-beside": TAKE_BACK.replace("{step}", "serve-beside")
    + "; rm -rf /var/lib/backendai/prometheus/*",
    SERVICES: TAKE_BACK.replace("{step}", SERVICES),
    "render-configs": "rm -f /etc/backendai/*.toml /etc/backendai/webserver.conf",
}
SNAPSHOT = {  # after which step, how
    "migrate-manager-schema": f"{SQL} 'CREATE DATABASE schema_only TEMPLATE backendai'",
}


def only(step: str) -> list[str]:
    return [] if step == SERVICES else ["--only", step]


def reconfigure(host: Host, step: str, prefix: str = "") -> Result:
    call = f"{prefix} backendai-ctl reconfigure {' '.join(only(step))} --json"
    return host.run(["/bin/sh", "-c", call], timeout=RUN_TIMEOUT)


def state(result: Result, step: str) -> str:
    try:
        return str(json.loads(result.stdout)["steps"][step]["state"])
    except (ValueError, KeyError):
        return "failed"  # the run itself could not begin; its exit status says so
    finally:
        assert "Traceback" not in result.stderr, result


@contextmanager
def stopped(host: Host, unit: str) -> Iterator[None]:
    """The server is down and cannot be started: a run would start one that only was stopped."""
    host.check(["systemctl", "mask", "--runtime", "--now", unit], timeout=180)
    try:
        yield
    finally:
        host.check(["systemctl", "unmask", "--runtime", unit])
        host.check(["systemctl", "start", unit], timeout=180)


def server_down(name: str) -> Callable[[Host, str], str]:
    def fault(host: Host, step: str) -> str:
        with stopped(host, UNITS[name]):
            return state(reconfigure(host, step), step)

    return fault


def disk_full(host: Host, step: str) -> str:
    """Every file system that the step and its servers write to has no byte left."""
    host.sh(
        "for f in / /tmp; do b=$f/.ballast; left=$(df --output=avail -k $f | tail -1);"
        " fallocate -l ${left}K $b || :; cat /dev/zero >>$b 2>/dev/null || :; done"
    )
    try:
        return state(reconfigure(host, step), step)
    finally:
        host.sh("rm -f /.ballast /tmp/.ballast")
        units = " ".join(UNITS.values())
        host.sh(f"systemctl reset-failed; systemctl restart {units}", timeout=300)


def no_systemd(host: Host, step: str) -> str:
    hidden = "unshare -m sh -c 'mount -t tmpfs none /run/systemd && exec \"$@\"' sh"
    return state(reconfigure(host, step, hidden), step)


def killed_once(host: Host, step: str) -> str:
    return killed(host, step, times=1)


def killed(host: Host, step: str, times: int | None = None) -> str:
    """kill -9 of the run and of all that it started, at several moments."""
    seen = []
    for delay in (KILL_START_AFTER if step == SERVICES else KILL_AFTER)[:times]:
        host.sh(UNDO.get(step, ":"), cwd="/", timeout=120)
        lines = "/var/lib/backendai/ctl/journal.jsonl"
        count = f'grep -cs \'"step": "{step}"\' {lines} || :'
        before = host.sh(count)
        unit = f"kill-{step}-{time.monotonic_ns()}"
        call = ["systemd-run", "--quiet", f"--unit={unit}", "--", "backendai-ctl"]
        host.check([*call, "reconfigure", *only(step)])
        until = time.monotonic() + 60
        while time.monotonic() < until:
            begun = host.sh(count) != before
            running = host.run(["systemctl", "is-active", "--quiet", unit]).returncode == 0
            if begun or not running:
                break
        time.sleep(delay if running else 0)
        host.run(["systemctl", "kill", "--kill-whom=all", "--signal=KILL", unit])
        host.run(["systemctl", "stop", unit])
        seen.append("killed" if running else "too fast")
    return "killed" if "killed" in seen else "too fast"


FAULTS: dict[str, Callable[[Host, str], str]] = {
    "kill -9": killed,
    "disk full": disk_full,
    "database down": server_down("postgresql"),
    "etcd down": server_down("etcd"),
    "cache down": server_down("valkey"),
    "no systemd": no_systemd,
}


OF_SERVERS = {  # the fault of a server -> the step that makes it; those that build on it need that one
    "database down": "prepare-database",
    "etcd down": "prepare-etcd",
    "cache down": "prepare-cache",
}
# Each step's name -> all that it needs, near and far.
BUILT_ON = """
import json
from backendai_ctl.facts import load
from backendai_ctl.steps.plan import steps
direct = {step.name: {step.name, *step.needs} for step in steps(load())}
for _ in direct:
    direct = {name: set().union(*(direct[need] for need in needs)) for name, needs in direct.items()}
print(json.dumps({name: sorted(needs) for name, needs in direct.items()}))
"""


TURNS = ("disk full", "no systemd")  # one of them for each step
OF_SERVICES = ("kill -9", "disk full", "database down")  # of whole runs: each takes a minute or two


def faults_of(host: Host, *, every: bool) -> dict[str, list[str]]:
    """Which faults each step meets, in the order of the steps."""
    built_on = json.loads(host.check([stacks.PYTHON, "-I", "-c", BUILT_ON]).stdout)

    names = stacks.step_names(host)
    takes_turns = {name: TURNS[number % len(TURNS)] for number, name in enumerate(names)}

    def met(fault: str, step: str) -> bool:
        if step not in UNDO:  # it has nothing to do on this host, whatever happens
            return fault == "kill -9"
        if step == SERVICES:
            return fault in OF_SERVICES
        if fault in TURNS:
            return takes_turns[step] == fault
        return fault not in OF_SERVERS or OF_SERVERS[fault] in built_on[step]

    return {step: [fault for fault in FAULTS if every or met(fault, step)] for step in names}


def recovered(host: Host, step: str) -> str:
    first, second = state(reconfigure(host, step), step), state(reconfigure(host, step), step)
    return "yes" if first in ("done", "same") and second == "same" else f"NO: {first}, {second}"


def test_every_step_survives_every_fault(
    stack: stacks.Stack,
    small_disk: Path,
    show: Callable[[str], None],
    pytestconfig: pytest.Config,
) -> None:
    rows: dict[str, dict[str, str]] = {}
    with stack.boot(name="faults", upper=small_disk) as host:
        every = pytestconfig.getoption("--all")
        met = faults_of(host, every=every)
        makers = FAULTS if every else {**FAULTS, "kill -9": killed_once}
        for fault, maker in OF_SERVERS.items():
            assert fault in met[maker], met
        for step, names in met.items():
            rows[step], began = {}, time.monotonic()
            for name in names:
                host.sh(UNDO.get(step, ":"), cwd="/", timeout=120)
                under = makers[name](host, step)
                rows[step][name] = f"{under}; {recovered(host, step)}"
            host.sh(SNAPSHOT.get(step, ":"), cwd="/", timeout=60)
            print(f"{step}: {rows[step]}, {time.monotonic() - began:.0f} s", flush=True)
        show(table(rows))
        lost = [row for row in rows.values() if any("NO" in cell for cell in row.values())]
        assert lost == []
        final = host.check(["backendai-ctl", "reconfigure", "--dry-run", "--json"]).stdout
        plan = json.loads(final)["plan"]
        assert {step: row for step, row in plan.items() if row.get("changes") != []} == {}


def table(rows: dict[str, dict[str, str]]) -> str:
    """Under the fault; whether it was recovered by running it again."""
    head = ["step", *FAULTS]
    lines = [
        head,
        *([step, *(row.get(name, "-") for name in FAULTS)] for step, row in rows.items()),
    ]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        for line in lines
    )
