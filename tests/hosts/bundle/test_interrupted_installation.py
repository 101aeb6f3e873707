"""Promise: whatever ends install.sh, the host is left with a whole source or none, and a rerun completes."""

from __future__ import annotations

from pathlib import Path

import bundles
import pytest
from bundles import MEDIUM, STATE
from host import Host, HostError
from installing import KEYRING, SOURCE, check_installed, install, no_source, refused
from scenario import Hosts

POINTS = 10
RESET = (
    "dpkg --purge backendai-runtime >/dev/null; rm -rf /var/lib/backendai /var/lib/apt/lists/*_bundles_*"
    f" {SOURCE} {KEYRING}"
)


def _source_is_whole_or_absent(host: Host) -> None:
    if no_source(host):
        return
    update = host.run(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"])
    assert update.returncode == 0, update


def test_killed_at_ten_points(hosts: Hosts, light: bundles.Bundle) -> None:
    """By SIGKILL, with everything it started, at tenths of the time that it takes undisturbed."""
    with hosts.boot("trixie", binds={light.folder: MEDIUM}) as host:
        install(host, "--role", "runtime")  # fills the page cache
        host.sh(RESET)
        whole = install(host, "--role", "runtime")
        assert whole.returncode == 0, whole
        seen, seconds = set(), whole.seconds
        for point in range(POINTS):
            seconds = _killed(host, (point + 0.5) / POINTS, seconds)
            _source_is_whole_or_absent(host)
            seen.add(host.sh(f"set +e; ls -A {STATE} 2>&1; ls {SOURCE} 2>&1; dpkg --audit; true"))
            again = install(host, "--role", "runtime")
            assert again.returncode == 0, f"point {point}\n{again}"
            check_installed(host, light)
        assert len(seen) > 2  # the points were in different stages


def _killed(host: Host, share: float, seconds: float) -> float:
    """Kill a run after a share of the seconds that a run takes; these, as it came out.

    Where other work on the machine has ended meanwhile, a run is over before it is killed.
    """
    for _ in range(5):
        host.sh(RESET)
        try:
            seconds = install(host, "--role", "runtime", timeout=seconds * share).seconds
        except HostError as ended:
            assert "not done after" in str(ended)
            return seconds
    raise AssertionError(f"no run was caught at {share:.0%} of its {seconds:.1f} s")


@pytest.mark.parametrize("state", ["half-installed", "unpacked"])
def test_killed_while_a_package_was_unpacked(
    state: str, hosts: Hosts, light: bundles.Bundle
) -> None:
    """An instant too short for the ten points to meet every time: the states that dpkg has then."""
    with hosts.boot("trixie", binds={light.folder: MEDIUM}) as host:
        assert install(host, "--role", "runtime").returncode == 0
        host.sh(
            "sed -i '/^Package: backendai-runtime$/,/^$/"
            f"s/^Status: .*/Status: install reinstreq {state}/' /var/lib/dpkg/status"
        )
        if state == "unpacked":  # and not yet in the table: a file of its own, which apt refuses
            host.sh(
                "sed -n '/^Package: backendai-runtime$/,/^$/p' /var/lib/dpkg/status"
                " >/var/lib/dpkg/updates/0000"
            )
        assert "must be reinstalled" in host.sh("dpkg --audit")
        again = install(host, "--role", "runtime")
        assert again.returncode == 0, again
        assert host.sh("dpkg --audit") == ""
        check_installed(host, light)


def test_disk_full(hosts: Hosts, light: bundles.Bundle) -> None:
    with hosts.boot("trixie", binds={light.folder: MEDIUM}) as host:
        host.sh(f"mkdir -p {STATE} && mount -t tmpfs -o size=20m tmpfs {STATE}")
        refused(install(host, "--role", "runtime"), "are free")
        assert no_source(host)
        # Enough by the look of it, but somebody else fills it meanwhile.
        host.sh(f"mount -o remount,size=105m {STATE} && fallocate -l 1m {STATE}/other")
        unit = ["systemd-run", "-q", "--unit=filler", "sh", "-c"]
        host.check(
            [*unit, f"until [ -d {STATE}/*.partial ]; do :; done; fallocate -l 90m {STATE}/filler"]
        )
        said = refused(install(host, "--role", "runtime"), "could not be copied")
        assert "run it again" in said
        assert no_source(host)
        host.sh(f"rm {STATE}/filler {STATE}/other")
        assert install(host, "--role", "runtime").returncode == 0
        check_installed(host, light)


@pytest.mark.parametrize("change", ["missing", "changed", "added", "link"])
def test_a_bundle_that_is_not_whole(
    change: str, hosts: Hosts, light: bundles.Bundle, tmp_path: Path
) -> None:
    broken = bundles.copy(light, tmp_path)
    deb = next((broken.folder / "apt/pool/main").iterdir())
    name = deb.relative_to(broken.folder).as_posix()
    if change == "missing":
        deb.unlink()
    elif change == "changed":
        data = deb.read_bytes()
        deb.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    elif change == "added":
        deb.with_name("added.deb").write_bytes(b"")
        name = name.replace(deb.name, "added.deb")
    else:
        deb.rename(tmp_path / deb.name)
        deb.symlink_to(tmp_path / deb.name)
    binds = {broken.folder: MEDIUM, light.folder: "/good"}
    with hosts.boot("trixie", binds=binds) as host:
        refused(host.run([f"{MEDIUM}/verify.sh"]), name)
        refused(install(host, "--role", "runtime"), name)
        assert no_source(host)
        assert host.run(["test", "-e", STATE]).returncode == 1
        if change == "changed":  # the medium once more, whole
            host.check(["/good/install.sh", "--role", "runtime"], timeout=120)
            check_installed(host, light)


def test_disk_full_while_packages_are_unpacked(hosts: Hosts, light: bundles.Bundle) -> None:
    """There was enough by the look of it, but somebody else fills it meanwhile."""
    with hosts.boot("trixie", binds={light.folder: MEDIUM}) as host:
        host.sh("mkdir -p /opt/backendai && mount -t tmpfs -o size=200m tmpfs /opt/backendai")
        unit = ["systemd-run", "-q", "--unit=filler", "sh", "-c"]
        host.check(
            [
                *unit,
                f"until [ -d {STATE}/*.partial ]; do :; done; fallocate -l 196m /opt/backendai/x",
            ]
        )
        result = install(host, "--role", "runtime")
        refused(result, "apt did not install everything")
        assert "No space left on device" in result.stdout + result.stderr
        _source_is_whole_or_absent(host)
        host.sh("rm /opt/backendai/x")
        assert install(host, "--role", "runtime").returncode == 0
        check_installed(host, light)
