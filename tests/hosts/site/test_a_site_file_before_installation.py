"""Promise: a site file given to install.sh gives that site, without a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import browser
import pytest
from bundle_dist import Bundle
from host import Host
from own_servers import DATA, ENGINE, PORTS, POSTGRESQL, PSQL, SOCKET, SUPERUSER, sql
from scenario import Hosts, disks
from site_host import ALL_UNITS, SERVERS, SiteHost, site_host
from stack import PYTHON

from backendai_ctl.pki import tls

STORAGE_CLIENT, COORDINATOR = 6021, 10200
SHARED = "/mnt/shared"
EMAIL = "root@cluster.example"
CERTIFICATE, KEY = "/etc/ssl/cluster.crt", "/etc/ssl/private/cluster.key"
SITE = f"""\
[site]
name = "Cluster of the test"

[tls]
mode = "own"
certificate = "{CERTIFICATE}"
key = "{KEY}"

[admin]
email = "{EMAIL}"
username = "root-of-cluster"

[user]
name = "cluster"
uid = 2100
gid = 2101

[network.ports]
webserver = {{ http = 9443 }}
manager = {{ api = 9081, internal = 19080 }}

[storage.volumes.fast]
path = "/srv/fast"
"""
# The manager's role owns its database: whoever has that role can have names found there first. Code
# of its own that an administrator calls without knowing makes it one.
TRAP = """\
SET ROLE backendai;
CREATE SCHEMA trap;
CREATE FUNCTION trap.same(oid, regnamespace) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF session_user = 'backendai-postgresql' THEN EXECUTE 'ALTER ROLE backendai SUPERUSER'; END IF;
  RETURN true;
END $$;
CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = regnamespace, FUNCTION = trap.same);
ALTER DATABASE backendai SET search_path = trap, pg_catalog, public;
"""


def issued(name: str) -> tuple[str, str]:
    """A certificate with its issuer, an authority of that name, and its key."""
    authority, key = tls.new_key(), tls.new_key()
    issuer = tls.authority(authority, name)
    own = tls.issue(issuer, authority, key, ["localhost"]) + issuer
    return own.decode(), key.decode()


@pytest.fixture(scope="module")
def preseeded(
    hosts: Hosts, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SiteHost]:
    given = dict(zip((CERTIFICATE, KEY), issued("Authority of the cluster"), strict=True))
    with (
        disks(tmp_path_factory, "preseeded") as folder,
        site_host(hosts, bundle, folder, name="preseeded", site_file=SITE, given=given) as site,
    ):
        yield site


def test_services_are_healthy_at_the_chosen_ports(preseeded: SiteHost) -> None:
    preseeded.wait_healthy()
    listening = preseeded.host.sh("ss -H -ltn | awk '{print $4}'").split()
    assert {"127.0.0.1:9443", "127.0.0.1:9081", "127.0.0.1:19080"} <= set(listening)
    assert not {"127.0.0.1:8090", "127.0.0.1:8081", "127.0.0.1:18080"} & set(listening)


def test_volume_lies_where_the_file_says(preseeded: SiteHost) -> None:
    assert preseeded.host.sh("cat /srv/fast/version.txt; ls -A /vfroot 2>/dev/null || :") == "3"


def test_what_works_on_files_of_users_runs_as_the_account_of_the_file(preseeded: SiteHost) -> None:
    host = preseeded.host
    for name in ("agent", "storage-proxy"):
        pid = host.sh(f"systemctl show backendai-{name} --property=MainPID --value")
        assert host.sh(f"stat -c %U:%u:%g /proc/{pid}") == "cluster:2100:2101", name
    assert host.sh("stat -c %u:%g /srv/fast /srv/fast/version.txt").split() == ["2100:2101"] * 2
    assert host.run(["getent", "passwd", "bai"]).returncode
    made = host.check(["backendai-ctl", "db", "backup"], timeout=120).stdout.split()
    assert len(made) == 2


def test_site_file_is_as_it_was(preseeded: SiteHost) -> None:
    assert preseeded.host.check(["cat", "/etc/backendai/site.toml"]).stdout == SITE


def test_the_named_admin_signs_in_with_a_browser(preseeded: SiteHost, screenshots: Path) -> None:
    seen = browser.visit(
        preseeded.host,
        url="https://localhost:9443",
        email=EMAIL,
        password=preseeded.secret("admin-password"),
        pages={"dashboard": "/dashboard", "data": "/data"},
        folder=screenshots / "preseeded-site",
    )
    assert "Dashboard" in seen.pages["dashboard"]["text"]


def test_users_are_shown_the_certificate_of_the_operator(preseeded: SiteHost) -> None:
    host = preseeded.host
    own = host.check(["cat", CERTIFICATE]).stdout
    for port in (9443, STORAGE_CLIENT, COORDINATOR):
        assert own.startswith(shown(host, port)), port
    assert host.run(["test", "-e", "/etc/backendai/tls/ca.key"]).returncode  # no authority is made


def test_a_certificate_that_the_operator_renewed_is_taken_over_by_upkeep(
    preseeded: SiteHost,
) -> None:
    host = preseeded.host
    assert host.sh("systemctl is-active backendai-upkeep.timer") == "active"
    certificate, key = issued("Next authority of the cluster")
    host.write(CERTIFICATE, certificate)
    host.write(KEY, key)
    host.check(["systemctl", "start", "backendai-upkeep.service"], timeout=300)
    preseeded.wait_healthy()
    for port in (9443, STORAGE_CLIENT, COORDINATOR):
        assert certificate.startswith(shown(host, port)), port


def shown(host: Host, port: int) -> str:
    """The certificate that users are shown."""
    ask = f"import ssl; print(ssl.get_server_certificate(('localhost', {port})))"
    return host.check([PYTHON, "-I", "-c", ask]).stdout.strip()


@contextmanager
def postgresql_by_hand(host: Host) -> Iterator[None]:
    """What is left of a purged PostgreSQL, by the settings that its cluster was made with."""
    place = f"-D {DATA['postgresql']} -k {SOCKET} -p {PORTS['postgresql']}"
    # A host need not have time zones; this one PostgreSQL knows itself.
    options = f"{place} -c timezone=GMT -c log_timezone=GMT"
    host.check(["install", "-d", "-o", SUPERUSER, "-m", "755", SOCKET])
    start = f"systemd-run -q --unit=by-hand --uid={SUPERUSER} {POSTGRESQL}/postgres {options}"
    host.sh(f"{start}; until {PSQL} -d postgres -c '' 2>/dev/null; do sleep 0.2; done", timeout=60)
    try:
        yield
    finally:
        host.sh(f"systemctl stop by-hand; rm -r {SOCKET}")


def test_nothing_tried_to_leave_the_host(preseeded: SiteHost) -> None:
    assert preseeded.network.attempts == set()


def test_plain_http_on_request(preseeded: SiteHost) -> None:
    """Runs after those with TLS: it stays off."""
    host = preseeded.host
    own = SITE[SITE.index("[tls]") : SITE.index("[admin]")]
    host.write("/etc/backendai/site.toml", SITE.replace(own, '[tls]\nmode = "off"\n\n'))
    host.check(["backendai-ctl", "reconfigure"], timeout=600)
    preseeded.wait_healthy()
    read = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
    page = host.check([PYTHON, "-I", "-c", read, "http://localhost:9443/"]).stdout
    assert "<html" in page.lower()
    assert host.run([PYTHON, "-I", "-c", read, "https://localhost:9443/"]).returncode
    assert preseeded.ctl("admin", "show-endpoint")["url"] == "http://localhost:9443"


def test_purge_keeps_what_users_stored_and_reconfigure_brings_the_site_back(
    preseeded: SiteHost,
) -> None:
    host = preseeded.host
    host.sh("echo kept >/srv/fast/of-a-user")
    sql(host, TRAP, "backendai")
    host.check(["backendai-ctl", "purge"], timeout=300)
    assert sorted(preseeded.inactive()) == sorted(ALL_UNITS)
    host.check(["backendai-ctl", "purge"], timeout=300)  # once more, with its servers at rest
    with postgresql_by_hand(host):
        assert sql(host, "SELECT rolname FROM pg_roles WHERE rolsuper") == SUPERUSER
        reset = "ALTER DATABASE backendai RESET search_path; DROP SCHEMA trap CASCADE"
        sql(host, reset, "backendai")
    assert host.sh("ls /etc/backendai") == "rpc\nsecrets\nsite.toml"
    assert host.sh("cat /srv/fast/of-a-user") == "kept"
    host.check(["backendai-ctl", "reconfigure"], timeout=600)
    preseeded.wait_healthy()


def test_purge_with_data_leaves_nothing_but_what_is_mounted(preseeded: SiteHost) -> None:
    host = preseeded.host
    # A cluster file system of the whole site, mounted where a volume is: as /srv/fast to look at.
    host.sh(
        f"mkdir -p {SHARED} && mount -t tmpfs tmpfs {SHARED} && cd {SHARED} && printf 3 >version.txt"
    )
    host.sh(f"chown 1100:1100 {SHARED} && chmod 750 {SHARED} && echo theirs >{SHARED}/of-others")
    more = f'[storage.volumes.shared]\npath = "{SHARED}"\n'
    host.write("/etc/backendai/site.toml", f"{SITE}\n{more}")
    planned = preseeded.ctl("purge", "--data", "--dry-run")
    assert any(line.startswith("/srv/fast (volume ") for line in planned["removed"])
    assert f"{SHARED} (volume shared): a mount point" in "\n".join(planned["left"])
    assert f"{ENGINE} is mounted: umount it first" in "\n".join(planned["left"])  # see site_host
    refused = host.run(["backendai-ctl", "purge", "--data"])
    assert refused.returncode == 2 and "hint:" in refused.stderr
    host.check(["backendai-ctl", "purge", "--data", "--yes-delete-all-data"], timeout=300)
    assert host.sh("ls /var/lib/backendai").split() == ["bundles", "docker"]
    left = " ".join(f"backendai-{name}.service" for name in SERVERS)
    assert host.sh(f"systemctl is-active {left} || :").split() == ["inactive"] * len(SERVERS)
    assert host.sh("ls /etc/backendai; ls -d /srv/fast 2>/dev/null || :") == "site.toml"
    assert host.sh(f"cat {SHARED}/of-others") == "theirs"
