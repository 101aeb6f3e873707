"""Promise: the bundle alone made the site, and apt trusts it by its signature and by nothing else."""

from __future__ import annotations

from bundle_dist import STRICT, Bundle
from site_host import SiteHost

SOURCES = "/etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf /etc/apt/apt.conf.d"
# What makes apt believe unsigned or outdated indexes.
LAX = "trusted|allow-insecure|check-valid-until|AllowUnauthenticated|AllowInsecureRepositories"


def test_verify_and_install_say_that_all_is_as_released(allinone: SiteHost, bundle: Bundle) -> None:
    assert "Fine: this bundle is as it was released." in allinone.checked.stdout
    assert allinone.installation.stdout.startswith("No change yet.")
    kept = f"/var/lib/backendai/bundles/{bundle.name}"
    assert (
        allinone.host.sh(f"cat {kept}/RELEASE") == (bundle.unpacked / "RELEASE").read_text().strip()
    )


def test_apt_update_passes_with_strict_defaults(allinone: SiteHost) -> None:
    said = allinone.host.check(STRICT)
    assert "W:" not in said.stdout + said.stderr, said


def test_no_other_source_and_no_laxness(allinone: SiteHost) -> None:
    host = allinone.host
    uris = host.sh("apt-get indextargets --format '$(SITE) $(TRUSTED)' | sort -u").splitlines()
    assert len(uris) == 1 and uris[0].startswith("file:/var/lib/backendai/bundles/"), uris
    assert host.sh(f"grep -riE '{LAX}' {SOURCES} 2>/dev/null || :") == ""
    assert host.sh("grep -h Signed-By /etc/apt/sources.list.d/*.sources").endswith(".gpg")


def test_everything_that_was_added_is_in_the_bundle(allinone: SiteHost) -> None:
    """Packages that apt can fetch again from where it got them: none is an orphan."""
    host = allinone.host
    added = set(host.sh("zgrep -h ' install ' /var/log/dpkg.log* | awk '{print $4}'").split())
    known = set(host.sh("apt-cache dumpavail | sed -n 's/^Package: //p'").split())
    assert {"backendai-postgresql", "backendai-docker"} <= {
        name.partition(":")[0] for name in added
    }
    assert {name.partition(":")[0] for name in added} - known == set()
