"""Promise: what a host sets for apt and dnf does not decide; what it has stays, or nothing is changed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import artefacts
import bundles
import pytest
from bundles import MEDIUM
from host import Host
from installing import TIMEOUT, install, no_source, refused
from scenario import Hosts

ROLE = ("--role", "storage-node", "--role", "valkey")
PACKAGES = (*bundles.SMALL, "valkey")
CALLED = "/var/tmp/called"
HOOKS = ("DPkg::Pre-Invoke", "DPkg::Post-Invoke", "DPkg::Pre-Install-Pkgs")
UPDATE_HOOKS = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke")
APT_CONF = (
    'APT::Default-Release "somebody-elses";\nAPT::Install-Recommends "true";\n'
    'Acquire::http::Proxy "http://proxy.invalid:3128";\n'
)
# As etckeeper does with AVOID_COMMIT_BEFORE_INSTALL=1, each fails where it is called.
APT_CONF += "".join(
    f'{hook} {{ "mkdir -p {CALLED}; touch {CALLED}/{hook}; exit 1"; }};\n'
    for hook in (*HOOKS, *UPDATE_HOOKS)
)
PINS = "".join(
    f"Package: {name}\nPin: release *\nPin-Priority: -1\n\n" for name in ("*", "backendai-*")
)
LOCK = "/var/lib/dpkg/lock-frontend"
LOCKER = (
    f"open(my $f, '+>>', '{LOCK}') or die; "
    'my $l = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); '
    "fcntl($f, F_SETLK, $l) or die; sleep shift"
)
# What is written while packages of ours come: by dpkg and apt, by accounts, and by the host itself.
WRITTEN = (
    *("/var/lib/dpkg/", "/var/lib/apt/", "/var/log/", "/var/cache/", "/var/lib/systemd/"),
    *("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"),
    *("/etc/.pwd.lock", "/var/lib/rpm/", "/usr/lib/sysimage/rpm/", "/var/lib/dnf/"),
)
OF_THE_HOST = ("/var/log/", "/var/lib/systemd/")  # changes by itself


def _deb(
    folder: Path, name: str, version: str, fields: str = "", files: tuple[str, ...] = ()
) -> Path:
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}"
        "Maintainer: Nobody <nobody@host.invalid>\nDescription: made by a test\n"
    )
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text("of somebody else\n")
    made = folder / f"{name}_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "-b", str(tree), str(made)], check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages that the host has before."""
    folder = tmp_path_factory.mktemp("theirs")
    folder.chmod(0o755)
    _deb(folder, "podman-docker", "4", "Conflicts: docker.io\n", ("usr/bin/docker",))
    _deb(folder, "other-storage", "1", "Conflicts: backendai-storage-proxy\n", ("usr/bin/other",))
    return folder


@pytest.fixture(scope="module")
def made(
    dist: artefacts.Dist, key: bundles.Key, tmp_path_factory: pytest.TempPathFactory
) -> bundles.Bundle:
    folder = tmp_path_factory.mktemp("made")
    older = _deb(folder, "perl-base", "1.0")  # than any host's, and it would be a broken one
    return bundles.make(folder, dist, key, packages=PACKAGES, debian=[older], rpms=True)


@pytest.fixture
def trixie(hosts: Hosts, made: bundles.Bundle, theirs: Path) -> Iterator[Host]:
    with hosts.boot("trixie", binds={made.folder: MEDIUM, theirs: "/theirs"}) as host:
        yield host


def _content(host: Host) -> dict[str, str]:
    """Of every file: path -> mode, owner and sha256."""
    sums = host.sh(
        "find / -xdev -type f -print0 | xargs -0 sha256sum 2>/dev/null || :", timeout=300
    )
    modes = host.sh("find / -xdev -type f -printf '%m %U:%G  %p\\n'")
    found: dict[str, str] = {}
    for line in (*sums.splitlines(), *modes.splitlines()):
        what, path = line.split("  ", 1)
        found[path] = f"{found.get(path, '')} {what}"
    return found


def _changed(before: dict[str, str], after: dict[str, str], written: tuple[str, ...]) -> list[str]:
    return [
        path
        for path, what in before.items()
        if after.get(path) != what and not path.startswith(written)
    ]


def _packages(host: Host) -> set[str]:
    rows = host.sh("dpkg-query -W -f '${Package} ${Version} ${Status}\\n'").splitlines()
    return {row for row in rows if not row.startswith("backendai-")}


def _hold_lock(host: Host, seconds: int) -> None:
    host.check(
        ["systemd-run", "-q", "--unit=locker", "perl", "-MFcntl", "-e", LOCKER, str(seconds)]
    )
    host.sh(f'until grep -q "$(stat -c %i {LOCK})" /proc/locks; do sleep 0.1; done', timeout=20)


def _make_hostile(host: Host) -> None:
    """Every setting that made another installation fail or change what is not ours."""
    host.sh("dpkg -i /theirs/podman-docker_4_amd64.deb")
    host.sh(  # newer than any release: the one that is there, under another version
        "mkdir -p /tmp/p/DEBIAN; dpkg -L perl-base | while read -r f; do"
        ' if [ ! -d "$f" ] || [ -L "$f" ]; then echo "$f"; fi; done | tar cPf - -T - | tar xf - -C /tmp/p;'
        " dpkg-query -s perl-base | sed '/^Status:/d;/^Version:/s/: .*/: 99.0/' >/tmp/p/DEBIAN/control;"
        " dpkg-deb -b /tmp/p /tmp/perl.deb; dpkg -i /tmp/perl.deb; rm -r /tmp/p /tmp/perl.deb"
    )
    host.write("/etc/apt/apt.conf.d/99hostile", APT_CONF)
    host.write("/etc/apt/preferences.d/hostile", PINS)
    host.write("/etc/apt/sources.list", "deb http://mirror.invalid/debian somebody stable\n")


def test_it_installs_and_leaves_all_as_it_was(trixie: Host) -> None:
    _make_hostile(trixie)
    said = trixie.run(["apt-get", "-s", "install", "podman-docker"])
    assert "Default-Release" in said.stderr, said  # the settings do what they are for
    before, packages = _content(trixie), _packages(trixie)
    assert before["/usr/bin/docker"] and "perl-base 99.0 install ok installed" in packages
    _hold_lock(trixie, 20)
    call = ["sh", "-c", 'umask 077; exec "$@"', "sh", f"{MEDIUM}/install.sh", *ROLE]
    done = trixie.check(call, env={"LC_ALL": "ko_KR.UTF-8"}, timeout=TIMEOUT)
    assert "Waiting for process" in done.stdout and "perl -MFcntl" in done.stdout, done
    assert "Done: " in done.stdout
    assert trixie.run(["test", "-e", CALLED]).returncode == 1
    assert _changed(before, _content(trixie), WRITTEN) == []
    assert _packages(trixie) == packages
    assert trixie.sh("dpkg-query -W -f '${Status}' backendai-valkey") == "install ok installed"
    assert trixie.sh("dpkg --audit") == ""
    assert trixie.sh("find /opt/backendai /usr/share/backendai ! -perm -o=r ! -type l") == ""
    assert trixie.sh("test -c /dev/null && echo yes") == "yes"
    # Again, from the copy: nothing is there to be changed.
    again = install(trixie, *ROLE)
    assert again.returncode == 0 and "already in" in again.stdout, again


def _refused_unchanged(host: Host, reason: str, **environment: str) -> str:
    before, packages = _content(host), _packages(host)
    said = refused(
        host.run([f"{MEDIUM}/install.sh", *ROLE], env=environment, timeout=TIMEOUT), reason
    )
    assert no_source(host)
    assert _packages(host) == packages
    after = _content(host)
    assert _changed(before, after, OF_THE_HOST) == []
    assert [path for path in set(after) - set(before) if not path.startswith(OF_THE_HOST)] == []
    return said


def _call_itself(host: Host, name: str, version: str) -> None:
    host.write("/usr/lib/os-release", f'NAME="Like {name}"\nID={name}\nVERSION_ID="{version}"\n')


def test_it_is_refused_before_any_change(trixie: Host) -> None:
    trixie.sh("cp /usr/lib/os-release /var/tmp/")
    for name, version in (("debian", "11"), ("ubuntu", "20.04")):
        _call_itself(trixie, name, version)
        said = _refused_unchanged(trixie, f"Like {name} {version} is too old")
        assert "install on Debian 12, Ubuntu 22.04, Enterprise Linux 9, or newer" in said
    trixie.sh("mv /var/tmp/os-release /usr/lib/os-release")

    trixie.sh("mount -t tmpfs -o size=100m tmpfs /opt")
    said = _refused_unchanged(trixie, "/opt/backendai needs")
    assert "100 MB are free" in said
    trixie.sh("umount /opt")

    trixie.sh("dpkg -i /theirs/other-storage_1_amd64.deb")
    said = _refused_unchanged(trixie, "apt would remove what is installed here: other-storage")
    assert "apt-get remove other-storage" in said
    trixie.sh("dpkg -P other-storage")

    trixie.sh("useradd -m backendai-valkey")
    said = _refused_unchanged(trixie, "the account backendai-valkey (")
    assert "usermod -l" in said
    trixie.sh("userdel -r backendai-valkey 2>/dev/null; groupadd backendai-valkey")
    trixie.sh("useradd -M mallory; usermod -a -G backendai-valkey mallory")
    _refused_unchanged(trixie, "the group backendai-valkey (")
    trixie.sh("groupdel backendai-valkey; useradd -u 1100 alice")
    _refused_unchanged(trixie, "number 1100 of the services' user bai")
    trixie.sh("userdel alice")

    _hold_lock(trixie, 60)
    said = _refused_unchanged(trixie, "working on packages", BACKENDAI_LOCK_TIMEOUT="3")
    assert "perl -MFcntl" in said
    trixie.sh("systemctl stop locker")
    assert install(trixie, *ROLE, "--dry-run").returncode == 0


def test_enterprise_linux_too(hosts: Hosts, made: bundles.Bundle) -> None:
    with hosts.boot("el9", binds={made.folder: MEDIUM}) as host:
        host.write(
            "/etc/dnf/dnf.conf",
            "[main]\nexcludepkgs=backendai-*\nproxy=http://proxy.invalid:3128\ntsflags=test\n",
        )
        host.write("/etc/yum.repos.d/other.repo", "[other]\nbaseurl=http://mirror.invalid/\n")
        before = _content(host)
        host.sh("cp /usr/lib/os-release /var/tmp/")
        _call_itself(host, "rocky", "8.10")
        refused(install(host, *ROLE), "Like rocky 8.10 is too old")
        host.sh("mv /var/tmp/os-release /usr/lib/os-release")
        host.sh("mount -t tmpfs -o size=100m tmpfs /opt")
        said = refused(install(host, *ROLE), "dnf cannot install this here")
        assert "more space needed on the /opt filesystem" in said
        host.sh("umount /opt; useradd -m backendai-valkey")
        refused(install(host, *ROLE), "the account backendai-valkey (")
        host.sh("userdel -r backendai-valkey 2>/dev/null || :")
        assert host.sh("ls /etc/yum.repos.d") == "other.repo"
        assert host.sh("rpm -qa 'backendai-*' 'gpg-pubkey*'") == ""
        done = install(host, *ROLE)
        assert done.returncode == 0 and "Done: " in done.stdout, done
        assert host.check(["rpm", "-q", "backendai-valkey", "backendai-storage-node"]).stdout
        assert _changed(before, _content(host), WRITTEN) == []
