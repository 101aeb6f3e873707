"""Promise: one bundle makes a whole site of any Linux, without anything of its distribution.

Debian 13 has scenarios of its own. Some of these hosts are likenesses: see docs/INSTALLING.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from bundle_dist import INSTALL_TIMEOUT, STICK, Bundle
from host import Result
from people import Person
from scenario import EMAIL, Hosts, changed, disks
from site_host import ALL_UNITS, ROLE, SiteHost, bare_host

LINUXES = [
    pytest.param("ubuntu22", marks=pytest.mark.breadth),
    pytest.param("ubuntu24", marks=pytest.mark.breadth),
    pytest.param("bookworm", marks=pytest.mark.breadth),
    "el9",
    pytest.param("el10", marks=pytest.mark.breadth),
]
BROWSED = "el9"  # with a real browser; the others are signed in to by what a browser sends
# As strange as a host's words for its locale may be: it has neither this one nor any time zone.
LOCALE = "LC_ALL=ko_KR.UTF-8"
STRANGE = f"""
rm -rf /usr/share/zoneinfo /usr/lib/locale
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\\nDefaultEnvironment={LOCALE}\\n' >/etc/systemd/system.conf.d/locale.conf
systemctl daemon-reexec
"""
AGENTS = "query { agent_list(limit: 10, offset: 0) { items { id status } } }"
SERVING = (*ALL_UNITS, "backendai-docker.service", "backendai-containerd.service")
# Files with code that processes of a unit have in memory: UNIT FILE.
CODE = """
for unit; do
  for group in $(grep -l "/$unit" /proc/[0-9]*/cgroup); do
    awk -v unit="$unit" '$2 ~ /x/ && $6 ~ /^\\// { print unit, $6 }' "${group%/cgroup}/maps"
  done
done | sort -u
"""


@pytest.fixture(scope="module", params=LINUXES)
def site(
    request: pytest.FixtureRequest,
    hosts: Hosts,
    bundle: Bundle,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SiteHost]:
    """A bare host after `./install.sh --role all-in-one`."""
    name = request.param
    with (
        disks(tmp_path_factory, name) as folder,
        bare_host(bundle, folder, name, root=name) as made,
    ):
        made.host.sh(STRANGE)
        made.installation = _install(made, bundle)
        yield made


def _install(site: SiteHost, bundle: Bundle) -> Result:
    script = f"umask 077; exec {STICK}/{bundle.name}/install.sh --role {ROLE}"
    return site.host.check(["sh", "-c", script], timeout=INSTALL_TIMEOUT)


@pytest.fixture
def admin(site: SiteHost) -> Person:
    return Person(site, "admin", EMAIL, site.secret("admin-password"))


def test_it_is_whole(site: SiteHost) -> None:
    said = site.installation.stdout
    assert "Done: " in said, said
    # By the packages' own hook, not by install.sh afterwards.
    assert "backendai: this host is configured" in said, said
    site.wait_healthy()
    assert site.inactive() == []
    site.host.check(["backendai-ctl", "doctor"])


def test_the_host_is_as_strange_as_it_was_made(site: SiteHost) -> None:
    """Guards the other tests."""
    environment = site.host.sh("tr '\\0' '\\n' </proc/$(pgrep -o -f backendai_serve)/environ")
    assert LOCALE in environment.splitlines()
    assert site.host.run(["test", "-e", "/usr/share/zoneinfo"]).returncode
    assert site.host.sh(". /etc/os-release; echo $ID") != "debian" or site.root == "bookworm"


def test_the_web_ui_lets_the_administrator_in(
    site: SiteHost, admin: Person, screenshots: Path
) -> None:
    (agent,) = admin.ask(AGENTS)["agent_list"]["items"]
    assert agent["status"] == "ALIVE"
    if site.root != BROWSED:
        return
    seen = browser.visit(
        site.host,
        url="https://localhost:8090",
        email=admin.email,
        password=admin.password,
        pages={"dashboard": "/dashboard"},
        folder=screenshots / site.root,
    )
    assert "Dashboard" in seen.pages["dashboard"]["text"]


def test_a_session_runs(site: SiteHost, admin: Person) -> None:
    """From the image of the bundle, which the engine pulls from the site's registry."""
    admin.sign_in()
    with admin.session("only-one"):
        running = "backendai-ctl docker ps -q --filter label=ai.backend.session-id"
        assert len(site.host.sh(running).split()) == 1


def test_no_process_has_code_of_the_host_in_memory(site: SiteHost) -> None:
    shown = site.host.check(["sh", "-c", CODE, "sh", *SERVING]).stdout
    rows = [row.split(" ", 1) for row in shown.splitlines()]
    assert {unit for unit, _ in rows} == set(SERVING)
    assert [row for row in rows if not row[1].startswith("/opt/backendai/")] == []


def test_it_comes_back_by_itself(site: SiteHost) -> None:
    site.reboot()
    site.wait_healthy()
    assert site.inactive() == []


def test_nothing_is_left_to_configure(site: SiteHost) -> None:
    assert [changed(site.host), changed(site.host)] == [[], []]


def test_nothing_tried_to_leave_the_host(site: SiteHost) -> None:
    assert site.network.attempts == set()
