"""Promise: verify.sh and install.sh bring a release onto a host that has nothing but itself."""

from __future__ import annotations

import re
from pathlib import Path

import bundles
import pytest
import roots
from bundles import MEDIUM, STATE
from host import Host
from installing import KEYRING, SOURCE, check_installed, install, no_source, refused
from scenario import Hosts
from suites import PARAMETERS

# A packet to anywhere, even a look-up of a name, needs a socket of these families.
NO_NETWORK = ["RestrictAddressFamilies=AF_UNIX AF_NETLINK"]
DEAD = "deb [trusted=yes] http://mirror.invalid/debian stable main\n"


@pytest.mark.parametrize("suite", [param for param in PARAMETERS if param != "el9"])
def test_a_stick_a_key_and_three_commands(
    suite: str, hosts: Hosts, small_bundle: bundles.Bundle
) -> None:
    with hosts.boot(suite, binds={small_bundle.folder: MEDIUM}) as host:
        before = host.files()
        verified = host.check([f"{MEDIUM}/verify.sh", "--fingerprint", small_bundle.fingerprint])
        assert "which is the fingerprint you gave" in verified.stdout
        assert host.files() == before
        roles = host.check([f"{MEDIUM}/install.sh", "--list-roles"]).stdout
        assert [row.split()[:2] for row in roles.splitlines()][:1] == [["role", "storage-node"]]
        dry = host.check([f"{MEDIUM}/install.sh", "--role", "storage-node", "--dry-run"])
        assert "No change yet" in dry.stdout
        assert host.files() == before

        # A source of the network that cannot be reached must neither fail nor delay it.
        host.write("/etc/apt/sources.list", DEAD)
        env = {"BACKENDAI_NO_CONFIGURE": "1"}
        call = [f"{MEDIUM}/install.sh", "--role", "storage-node", "--no-recommends"]
        done = host.check(call, properties=NO_NETWORK, env=env, timeout=300)
        assert "\r" not in done.stdout + done.stderr  # no terminal: plain lines
        assert "mirror.invalid" not in done.stdout + done.stderr
        assert host.sh("cat /etc/apt/sources.list") == DEAD.strip()
        host.sh("rm /etc/apt/sources.list")
        check_installed(host, small_bundle, "backendai-storage-node")
        assert host.check(["backendai-ctl", "--version"]).stdout

        again = host.check(call, env=env, timeout=300)
        assert "already in" in again.stdout
        check_installed(host, small_bundle, "backendai-storage-node")

        removed = host.check([f"{STATE}/{small_bundle.name}/install.sh", "--uninstall-source"])
        assert "Removed the source" in removed.stdout
        assert no_source(host)
        assert host.run(["test", "-e", KEYRING]).returncode == 1
        assert host.sh("ls /var/lib/apt/lists | grep backendai || :") == ""
        assert host.check(["backendai-ctl", "--version"]).stdout


def test_no_network_socket_is_ever_made(hosts: Hosts, light: bundles.Bundle) -> None:
    """The kernel refuses sockets but for local ones, and nothing even asks: no refusal is met."""
    with hosts.boot("trixie", binds={light.folder: MEDIUM}) as host:
        probe = ["bash", "-c", "exec 3<>/dev/udp/127.0.0.1/9"]
        assert host.run(probe, properties=NO_NETWORK).returncode  # the restriction works
        host.check([f"{MEDIUM}/verify.sh"], properties=NO_NETWORK)
        done = host.check([f"{MEDIUM}/install.sh", "--role", "runtime"], properties=NO_NETWORK)
        assert "not supported" not in done.stderr
        check_installed(host, light)


def test_a_trace_shows_no_network_socket(hosts: Hosts, light: bundles.Bundle) -> None:
    """Of every process that both start: only sockets of the host itself are asked for."""
    trace = ["strace", "-f", "-qq", "-o", "/tmp/trace", "-e", "trace=socket,connect,sendto,bind"]
    with hosts.boot("trixie-trace", binds={light.folder: MEDIUM}) as host:
        host.run([*trace, "bash", "-c", "exec 3<>/dev/udp/127.0.0.1/9"])
        assert "AF_INET" in host.sh("cat /tmp/trace")  # the trace would show it
        seen = {}
        for call in (["verify.sh"], ["install.sh", "--role", "runtime"]):
            host.check([*trace, f"{MEDIUM}/{call[0]}", *call[1:]], timeout=300)
            seen[call[0]] = host.sh("cat /tmp/trace").splitlines()
        check_installed(host, light)
    for script, lines in seen.items():
        families = {word for line in lines for word in re.findall(r"\b[AP]F_[A-Z0-9]+", line)}
        assert families <= {"AF_UNIX", "AF_NETLINK"}, (script, lines)


def test_a_site_file_is_checked_before_services_are_configured_by_it(
    hosts: Hosts, small_bundle: bundles.Bundle
) -> None:
    with hosts.boot("trixie", binds={small_bundle.folder: MEDIUM}) as host:
        host.write("/tmp/site.toml", "[site]\nnosuchkey = 1\n")
        call = ("--role", "storage-node", "--no-recommends", "--site", "/tmp/site.toml")
        result = install(host, *call)
        refused(result, "has faults")
        assert "nosuchkey" in result.stdout
        assert host.run(["test", "-e", "/etc/backendai/site.toml"]).returncode == 1
        assert host.run(["dpkg", "-s", "backendai-storage-node"]).returncode

        host.write("/etc/backendai/site.toml", "# mine\n")
        refused(install(host, *call), "exists and differs")
        assert host.sh("cat /etc/backendai/site.toml") == "# mine"


def test_installed_is_not_configured(hosts: Hosts, small_bundle: bundles.Bundle) -> None:
    """Packages fail no package manager; an operator, and a script of theirs, is told all the same."""
    call = ("--role", "storage-node", "--no-recommends")
    with hosts.boot("trixie", binds={small_bundle.folder: MEDIUM}) as host:
        joins = install(host, *call)  # a node that waits for its site is as it should be
        assert joins.returncode == 0 and "Done:" in joins.stdout, joins
        # There before, by a release that took it.
        host.write("/etc/backendai/site.toml", '[agent]\naddress = "10.0.0.5"\n')
        result = install(host, *call)
        assert "installed, but not configured" in result.stderr
        refused(result, "backendai-ctl status")
        assert "Done:" not in result.stdout
        env = {"BACKENDAI_NO_CONFIGURE": "1"}
        host.check([f"{MEDIUM}/install.sh", *call], env=env, timeout=300)


def test_accounts_in_the_way_are_found_before_any_change(
    hosts: Hosts, small_bundle: bundles.Bundle
) -> None:
    call = ("--role", "storage-node", "--no-recommends")
    with hosts.boot("trixie", binds={small_bundle.folder: MEDIUM}) as host:
        host.sh("useradd -u 1100 alice")
        before = host.files()
        said = refused(
            install(host, *call), "number 1100 of the services' user bai is the account a"
        )
        assert "[user]" in said and "--site" in said
        host.sh("usermod -u 1500 alice")
        refused(install(host, *call), "the account alice has the services' group bai (1100)")
        host.sh("userdel alice; useradd -m -d /home/bai -u 1600 bai")
        refused(install(host, *call), "the account bai (1600:1600, /home/bai, ")
        host.sh("userdel -r bai 2>/dev/null; groupadd -g 1100 -U nobody bai")
        refused(install(host, *call), "the group bai (1100, with nobody) is not ours")
        assert no_source(host)
        assert {path for path in host.files() - before if "/home" not in path} <= {
            "/etc/.pwd.lock",
        }
        host.sh("groupdel bai; useradd -m -d /home/bai -u 1600 bai")
        # Another account by the site file is fine, and what has no service needs none.
        host.write("/tmp/site.toml", '[user]\nname = "backend"\nuid = 2100\n')
        host.check([f"{MEDIUM}/install.sh", *call, "--site", "/tmp/site.toml", "--dry-run"])
        host.check([f"{MEDIUM}/install.sh", "--role", "client", "--dry-run"])


def test_wrong_requests_are_told_apart_from_refusals(hosts: Hosts, light: bundles.Bundle) -> None:
    with hosts.boot("trixie", binds={light.folder: MEDIUM}) as host:
        wrong = (
            ["--role"],
            ["--role", "nosuch"],
            ["--nosuch"],
            ["--serve", "8080"],
            ["--root", "/nosuch"],
            ["--site", "/nosuch"],
            ["--fingerprint", "12 34"],
            ["--fingerprint", "nohex"],
            ["--role", "runtime", "--no-install"],
        )
        for words in wrong:
            result = install(host, *words)
            assert result.returncode == 2, result
            assert "hint: " in result.stderr, result
        result = host.run([f"{MEDIUM}/install.sh", "--role", "runtime"], user="nobody")
        refused(result, "only root")
        assert no_source(host)


def test_another_key_and_an_older_release_are_refused(
    hosts: Hosts,
    light: bundles.Bundle,
    key: bundles.Key,
    other_key: bundles.Key,
    tmp_path: Path,
) -> None:
    newer = bundles.resealed(bundles.copy(light, tmp_path / "newer"), key, number=2)
    other = bundles.resealed(bundles.copy(light, tmp_path / "other"), other_key, number=3)
    binds = {light.folder: MEDIUM, newer.folder: "/newer", other.folder: "/other"}
    with hosts.boot("trixie", binds=binds) as host:
        refused(install(host, "--fingerprint", other_key.fingerprint), "not by")
        assert no_source(host)
        host.check(["/newer/install.sh"])
        assert "trusts since" in host.check(["/newer/verify.sh"]).stdout
        assert host.sh(f"cat {STATE}/newest") == "2"

        for script in ("verify.sh", "install.sh"):
            result = host.run([f"{MEDIUM}/{script}"])
            refused(result, "older than the newest seen")
            assert "--allow-older" in result.stderr
            refused(host.run([f"/other/{script}"]), "trusts another key")
        host.check([f"{MEDIUM}/install.sh", "--allow-older"])
        assert host.sh(f"cat {STATE}/newest") == "2"

        # Confirmed by its fingerprint (spaces, lower case, in a file), the new key is taken. The
        # repository inside is still the old key's, though: apt itself refuses that, and the source
        # that was there stays as it was.
        host.write("/tmp/fingerprint", f"{other_key.fingerprint.lower()}\n")
        before = host.sh(f"cat {SOURCE}; sha256sum {KEYRING}")
        said = refused(
            host.run(["/other/install.sh", "--fingerprint", "/tmp/fingerprint"]), "apt does"
        )
        assert "E: " in said
        assert host.sh(f"cat {SOURCE}; sha256sum {KEYRING}") == before


def test_an_image_gets_packages_and_starts_nothing(
    hosts: Hosts, small_bundle: bundles.Bundle
) -> None:
    binds = {small_bundle.folder: MEDIUM, roots.root("trixie"): "/base"}
    with hosts.boot("trixie", binds=binds) as host:
        host.sh("mkdir /image && cp -a /base/. /image/")
        _links_out_of_the_image_are_refused(host)
        shown = "systemctl list-units --no-legend --plain --state=active 'backendai*'"
        install_ = ("--role", "storage-node", "--no-recommends", "--root", "/image")
        done = install(host, *install_)
        assert done.returncode == 0, done
        assert host.sh(shown) == ""
        assert no_source(host)
        assert host.sh("ls /image/usr/sbin/policy-rc.d /opt/* 2>/dev/null || :") == ""
        assert host.sh("findmnt -n -o TARGET | grep ^/image || :") == ""
        assert host.sh("chroot /image dpkg-query -W -f '${Status}' backendai-storage-node")
        assert (
            host.sh(f"cat /image{SOURCE} | grep URIs")
            == f"URIs: file:{STATE}/{small_bundle.name}/apt"
        )
        assert host.sh("ls /image/etc/backendai/secrets 2>/dev/null || :") == ""
        assert install(host, *install_).returncode == 0


def _links_out_of_the_image_are_refused(host: Host) -> None:
    """An absolute link of the image means its own files: here it would lead to those of this host."""
    request = ("--role", "storage-node", "--root", "/image")
    for link, target in (
        ("/var/lib", "/data/lib"),
        ("/etc/apt", "/data/apt"),
        ("/usr/share/keyrings", "/data/keyrings"),
        ("/etc/backendai", "/data/backendai"),
        ("/var", "../../data"),
    ):
        host.sh(f"mkdir -p {target if target[0] == '/' else '/data'}")
        host.sh(
            f"if [ -e /image{link} ]; then mv /image{link} /image/moved; fi; ln -s {target} /image{link}"
        )
        for words in (request, ("--root", "/image", "--uninstall-source")):
            refused(install(host, *words), "out of /image")
        host.sh(f"rm /image{link}; if [ -e /image/moved ]; then mv /image/moved /image{link}; fi")
    assert host.sh("find /data -type f") == ""
    host.sh("rm -r /data; mkdir /image/data && mv /image/var/lib /image/data/lib")
    host.sh("ln -s ../data/lib /image/var/lib")  # leads to the image's own: as good as a folder
