"""Somebody else's server, and what can be wrong with it: each a clear refusal, nothing half done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scenario import SITE_PATH, ctl
from site_with_nfs import ADDRESSES, OTHER, SITE_FILE, Site


@pytest.fixture(scope="module")
def nas(site: Site) -> Iterator[Site]:
    """The store is also somebody else's server, called nas on mgmt; afterwards all is as before."""
    site.mgmt.sh(f"echo '{ADDRESSES['store']} nas' >>/etc/hosts")
    serve(site, "rw")
    yield site
    site.store.sh("rm /etc/exports.d/test.exports; exportfs -ra")
    site.mgmt.write(SITE_PATH, SITE_FILE)
    ctl(site.mgmt, "reconfigure")


def serve(site: Site, how: str) -> None:
    line = f"{OTHER} {ADDRESSES['mgmt']}({how},sync,no_subtree_check,sec=sys,root_squash)\n"
    site.store.write("/etc/exports.d/test.exports", line)
    site.store.sh("exportfs -ra")


def refused(site: Site, volume: str, status: int = 1) -> str:
    """What `storage mount` says to a second volume; nothing may be mounted for good."""
    site.mgmt.sh("systemctl stop vfroot-other.mount vfroot-other.automount 2>/dev/null || :")
    text = f'\n[storage.volumes.other]\nkind = "nfs"\n{volume}\n'
    site.mgmt.write(SITE_PATH, SITE_FILE + text)
    done = site.mgmt.run(["backendai-ctl", "storage", "mount", "other"], timeout=90)
    assert done.returncode == status, done
    assert "other" in done.stderr and "hint: " in done.stderr, done
    return done.stderr


def test_a_wrong_export_is_refused(nas: Site) -> None:
    told = refused(nas, 'server = "nas"\nexport = "/srv/none"')
    assert "(nas:/srv/none): the server exports no /srv/none" in told
    assert "correct storage.volumes.other.export" in told


def test_a_name_that_does_not_resolve_is_refused(nas: Site) -> None:
    told = refused(nas, f'server = "no-such-nas"\nexport = "{OTHER}"', status=3)
    assert "the server's name no-such-nas does not resolve" in told


def test_a_wrong_path_is_refused(nas: Site) -> None:
    nas.mgmt.sh("mkdir -p /data/taken; touch /data/taken/mine /data/file")
    volume = f'server = "nas"\nexport = "{OTHER}"\npath = '
    assert "/data/file is not a directory" in refused(nas, f'{volume}"/data/file"')
    assert "/data/taken has files of its own" in refused(nas, f'{volume}"/data/taken"')
    assert nas.mgmt.sh("ls /data/taken") == "mine"


def test_wrong_numbers_are_refused(nas: Site) -> None:
    nas.store.sh(f"chown 1200:1200 {OTHER}; chmod 750 {OTHER}")
    told = refused(nas, f'server = "nas"\nexport = "{OTHER}"')
    assert "bai may not write to it" in told
    assert f"chown 1100:1100 {OTHER}" in told


def test_a_read_only_export_is_refused(nas: Site) -> None:
    nas.store.sh(f"chown 1100:1100 {OTHER}; printf 3 >{OTHER}/version.txt")
    serve(nas, "ro")
    told = refused(nas, f'server = "nas"\nexport = "{OTHER}"')
    assert "read-only" in told
