"""Promise: where a host has no Docker there is one of ours, whose restart no container notices."""

from __future__ import annotations

import time
from collections.abc import Iterator

import own_servers
import pytest
from scenario import PYTHON, changed
from site_host import SiteHost

DOCKER = "backendai-ctl docker"
UNITS = "backendai-docker backendai-containerd"
IPTABLES = "/opt/backendai/servers/docker/sbin/iptables-save"
LIBRARIES = "/opt/backendai/servers/docker/lib/x86_64-linux-gnu/xtables"
# That of opened folders is lost here, once it was there.
AGENT = "SELECT {} FROM agents WHERE scaling_group <> 'sftp'"
SCRATCHES = "/var/lib/backendai/agent/scratches"
INSPECT = f"{DOCKER} inspect lasting -f '{{{{.State.Pid}}}} {{{{.State.StartedAt}}}}'"


@pytest.fixture(scope="module")
def running(allinone: SiteHost) -> Iterator[SiteHost]:
    """A container that does nothing, for long, out of an image that is the runtime alone."""
    allinone.wait_healthy()
    host = allinone.host
    host.sh(
        f"tar -c -C / .{PYTHON.rpartition('/bin/')[0]} | {DOCKER} import - lasting", timeout=300
    )
    call = "import time; time.sleep(7200)"
    host.sh(f"{DOCKER} run -d --name lasting lasting {PYTHON} -I -c '{call}'")
    yield allinone
    host.sh(f"{DOCKER} rm -f lasting; {DOCKER} rmi lasting")
    allinone.wait_healthy()


def agent_is_alive(site: SiteHost) -> bool:
    said = own_servers.sql(site.host, AGENT.format("status"), "backendai")
    return said == "ALIVE"


def test_it_is_the_only_engine_and_its_socket_is_its_own(allinone: SiteHost) -> None:
    host = allinone.host
    assert host.sh("command -v dockerd docker containerd || :") == ""
    assert "No such file" in host.sh("ls /run/docker.sock /etc/docker /var/lib/docker 2>&1 || :")
    shown = host.sh(f"stat -c '%U:%G %a' {own_servers.ENGINE_SOCKET}")
    assert shown == "root:backendai-docker 660"
    assert host.sh("getent group backendai-docker").endswith(":"), "nobody is a member"
    assert host.sh("stat -c '%U:%G %a' /etc/backendai/docker.json") == "root:root 600"


def test_containers_have_a_bridge_and_rules(running: SiteHost) -> None:
    rules = running.host.sh(f"XTABLES_LIBDIR={LIBRARIES} {IPTABLES}")
    assert "-A FORWARD -j DOCKER-USER" in rules and "-j MASQUERADE" in rules
    assert running.host.sh("ip -4 -o address show docker0")


@pytest.mark.parametrize(
    "how",
    [
        "systemctl restart backendai-docker",
        "systemctl restart backendai-containerd",
        f"systemctl kill --signal=KILL --kill-whom=main {UNITS}",
    ],
    ids=["restart", "containerd", "killed"],
)
def test_a_container_outlives_its_engine(running: SiteHost, how: str) -> None:
    host = running.host
    before = host.sh(INSPECT)
    host.sh(how)
    until = time.monotonic() + 60
    while host.run(["/bin/sh", "-c", INSPECT]).stdout.strip() != before:
        assert time.monotonic() < until, host.sh(f"systemctl status {UNITS} || :")
        time.sleep(0.5)
    call = f"{DOCKER} exec lasting {PYTHON} -I -c 'print(6 * 7)'"
    assert host.sh(call) == "42", "and obeys it again"


def test_the_site_is_as_before(running: SiteHost) -> None:
    running.wait_healthy()
    assert changed(running.host) == [] and changed(running.host) == []
    until = time.monotonic() + 120
    while not agent_is_alive(running):
        assert time.monotonic() < until
        time.sleep(1)


def test_what_a_session_left_to_the_agent_is_removed_once_its_container_is_gone(
    running: SiteHost,
) -> None:
    """The agent is not root, but a container's root made files; the unit of the timer does it."""
    host = running.host
    gone, kept = (f"{digit * 8}-0000-4000-8000-{digit * 12}" for digit in "ab")
    host.sh(
        f"cd {SCRATCHES}; umask 077; for name in {gone} {kept}; do"
        " mkdir -p $name/work/mount/point; echo x >$name/work/mount/file; done;"
        f" {DOCKER} create --name kept --label ai.backend.kernel-id={kept} lasting true"
    )
    # A day goes by: what was noted is that much older.
    upkeep = "systemctl start backendai-upkeep"
    day = f"{upkeep}; sed -Ei 's/[0-9]+\\]/1]/g' /var/lib/backendai/ctl/scratch.json; {upkeep}"
    try:
        host.sh(upkeep, timeout=300)
        assert host.sh(f"ls {SCRATCHES}").split() == [gone, kept], "seen once"
        host.sh(day, timeout=300)
        assert host.sh(f"ls {SCRATCHES}") == kept
    finally:
        host.sh(f"{DOCKER} rm kept")
    host.sh(day, timeout=300)
    assert host.sh(f"ls {SCRATCHES}") == ""
    said = host.sh("journalctl -b -o cat -u backendai-upkeep")
    assert said.count("backendai: removed 1 scratch folder of ended sessions") == 2


def test_a_volume_of_runtime_files_that_was_cut_off_is_filled_anew(running: SiteHost) -> None:
    """All sessions mount it; its version is written last."""
    host = running.host
    volume = host.sh(f"{DOCKER} volume ls -q | grep backendai-krunner")
    inside = f"{DOCKER} run --rm -v {volume}:/v lasting {PYTHON} -I -c"
    host.sh(f"{inside} \"import os; os.remove('/v/VERSION'); os.truncate('/v/bin/python', 9)\"")
    host.sh("systemctl restart backendai-agent", timeout=200)
    whole = f"{inside} \"import os; assert os.stat('/v/VERSION') and os.stat('/v/bin/python').st_size > 9\""
    until = time.monotonic() + 120
    while host.run(["/bin/sh", "-c", whole]).returncode:
        assert time.monotonic() < until, host.sh("journalctl -b -u backendai-agent | tail -50")
        time.sleep(1)
    running.wait_healthy()


def test_a_host_that_is_renamed_has_the_same_agent(running: SiteHost) -> None:
    host = running.host
    query = AGENT.format("id")
    before = own_servers.sql(host, query, "backendai")
    name = host.sh("hostname")
    host.sh("hostname renamed; echo '127.0.1.1 renamed' >>/etc/hosts")
    try:
        assert "render-configs" not in changed(host)  # certificates follow the name
        host.sh("systemctl restart backendai-agent", timeout=200)
        running.wait_healthy()
        assert own_servers.sql(host, query, "backendai") == before == f"i-{name}"
    finally:
        host.sh(f"hostname {name}; sed -i /renamed/d /etc/hosts")
        changed(host)
