"""Promises of the harness itself: hosts are offline, bare, bounded in time, and leave no trace."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
import roots
from host import HostError, link
from scenario import HERE, REPOSITORY, Hosts
from suites import SUITES

every_suite = pytest.mark.parametrize("suite", SUITES)


@every_suite
def test_host_boots_healthy_and_bare(hosts: Hosts, suite: str) -> None:
    with hosts.boot(suite) as host:
        assert host.state == "running"
        assert host.sh("ls /sys/class/net") == "lo"
        assert host.sh("ip route") == ""
        assert host.sh("ls -d /opt/* /usr/local/bin/* 2>/dev/null || :") == ""
        foreign = "python3 pip3 git gcc" if suite != "el9" else "pip3 git gcc dpkg apt-get"
        assert host.sh(f"command -v {foreign} || :") == ""


def test_el_like_host_keeps_certificates_where_el_does(hosts: Hosts) -> None:
    with hosts.boot("el9") as host:
        assert host.sh("ls -d /etc/ssl /usr/lib/ssl 2>/dev/null || :") == ""
        assert "BEGIN CERTIFICATE" in host.sh("cat /etc/pki/tls/certs/ca-bundle.crt")
        assert "rhel" in host.sh(". /etc/os-release; echo $ID_LIKE")
        assert host.sh("rpm -qf /usr/bin/systemctl").startswith("el-testroot")


@pytest.mark.parametrize("name", roots.RELEASES)
def test_a_likeness_says_which_release_it_is(hosts: Hosts, name: str) -> None:
    _, facts = roots.RELEASES[name]
    with hosts.boot(name) as host:
        assert host.state == "running"
        said = host.sh('. /etc/os-release; echo "$ID" "$VERSION_ID"')
        assert said == f"{facts['ID']} {facts['VERSION_ID']}"


def test_ubuntu_like_host_has_what_ubuntu_has(hosts: Hosts) -> None:
    with hosts.boot("ubuntu24") as host:
        assert host.sh("ls /usr/share/keyrings /etc/apt/trusted.gpg.d | grep debian || :") == ""
        assert "needrestart" in host.sh("apt-config dump DPkg::Post-Invoke")
        assert host.sh("readlink /etc/resolv.conf; test -s /etc/resolv.conf").startswith("../run/")


def test_command_gets_input_and_gives_output_and_status(hosts: Hosts) -> None:
    with hosts.boot("trixie") as host:
        result = host.run(["sh", "-c", "cat; echo oops >&2; exit 7"], stdin="in\n")
        assert (result.stdout, result.stderr, result.returncode) == ("in\n", "oops\n", 7)
        assert host.run(["printf", "%s", "${HOME} $$ %n"]).stdout == "${HOME} $$ %n"
        assert host.run(["id", "-un"], user="nobody").stdout == "nobody\n"
        with pytest.raises(HostError, match="oops"):
            host.check(["sh", "-c", "echo oops; false"])


def test_command_that_hangs_is_ended(hosts: Hosts) -> None:
    with hosts.boot("trixie") as host:
        with pytest.raises(HostError, match="not done after 1 s"):
            host.run(["sleep", "1000"], timeout=1)
        assert host.run(["pgrep", "-x", "sleep"]).returncode == 1


def test_root_is_never_changed(hosts: Hosts) -> None:
    with hosts.boot("trixie") as host:
        host.sh("touch /etc/trace; rm /etc/debian_version")
    with hosts.boot("trixie") as host:
        assert host.sh("ls /etc/trace 2>/dev/null || :") == ""
        assert host.sh("cat /etc/debian_version")


def test_two_hosts_see_each_other_and_nobody_else(hosts: Hosts) -> None:
    with (
        link() as spaces,
        hosts.boot("trixie", hostname="hosta", netns=spaces["hosta"]) as one,
        hosts.boot("bookworm", hostname="hostb", netns=spaces["hostb"]) as two,
    ):
        # Without programs for it: the kernel answers a connection to a closed port.
        call = ["bash", "-c", "exec 3<>/dev/tcp/10.98.0.1/9"]
        assert "refused" in two.run(call, env={"LC_ALL": "C"}).stderr
        assert one.sh("ip route show default") == ""
        assert (one.sh("hostname"), two.sh("hostname")) == ("hosta", "hostb")


def test_killed_test_run_leaves_no_host(hosts: Hosts) -> None:
    """As by a time limit of a continuous integration service: SIGKILL."""
    script = (
        "import os, signal, roots, host\n"
        "with host.boot(roots.root('trixie')) as up:\n"
        "    print(up.leader, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": f"{HERE}:{REPOSITORY / 'src'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    leader = Path("/proc") / done.stdout.strip()
    assert done.stdout.strip().isdigit(), done.stderr
    assert _gone(leader)


def _gone(process: Path, seconds: int = 30) -> bool:
    """Wait for a process's end, by a descriptor of it: no polling."""
    try:
        descriptor = os.pidfd_open(int(process.name))
    except ProcessLookupError:
        return True
    ready, _, _ = select.select([descriptor], [], [], seconds)
    os.close(descriptor)
    return bool(ready)
