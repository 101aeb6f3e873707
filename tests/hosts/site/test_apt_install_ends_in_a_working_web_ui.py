"""Promise: `apt install backendai-all-in-one` on a bare offline host ends in a working web UI."""

from __future__ import annotations

import re
from pathlib import Path

import browser
import own_servers
import people as everybody
import pytest
from people import IMAGE
from scenario import EMAIL, VENV_PYTHON
from site_host import SERVERS, SERVICES, SiteHost

# How many settings services find in etcd, as root sees it by etcd's own gateway.
ETCD_SETTINGS = """
import base64, json, urllib.request
def call(path, body, token=""):
    data, head = json.dumps(body).encode(), {"Authorization": token} if token else {}
    asked = urllib.request.Request(f"http://127.0.0.1:8120/v3/{path}", data, head)
    return json.load(urllib.request.urlopen(asked, timeout=10))
password = open("/etc/backendai/secrets/etcd-root-password").read().strip()
token = call("auth/authenticate", {"name": "root", "password": password})["token"]
count = 0
for part, end in (("config/", "config0"), ("volumes/", "volumes0")):  # 0 comes after /
    key, last = (base64.b64encode(f"/sorna/local/{w}".encode()).decode() for w in (part, end))
    count += int(call("kv/range", {"key": key, "range_end": last}, token)["count"])
print(count)
"""
MENU = {
    "/project/default": "start dashboard data session chat deployments model-store statistics",
    "/admin": "users project data session deployments environment scheduler resource-policy agent settings"
    " maintenance diagnostics rbac",
}
# The UI of 26.9.6 finds out by asking; these answers are what it expects to be told.
PROBES = (
    "/server/login - Failed to load resource: the server responded with a status of 400",  # no session yet
    "/func/totp - Failed to load resource: the server responded with a status of 404",  # no TOTP plugin
)


def test_all_units_are_active(allinone: SiteHost) -> None:
    assert allinone.inactive() == [], allinone.installation


def test_apt_says_where_the_web_ui_is_and_no_secret(allinone: SiteHost) -> None:
    said = allinone.installation.stdout + allinone.installation.stderr
    assert "https://localhost:8090" in said
    secrets = allinone.host.sh("cat /etc/backendai/secrets/*").split()
    assert [secret for secret in secrets if secret in said] == []


def test_doctor_says_nothing_twice(allinone: SiteHost) -> None:
    for row in allinone.ctl("doctor")["findings"]:
        parts = re.split(r"[;,] ", row["message"])
        assert len(set(parts)) == len(parts), row
        assert not re.search(r"\b([a-z]+) \1\d*\b", row["message"]), row


def test_doctor_counts_and_names_what_is_there(allinone: SiteHost) -> None:
    found = {row["name"]: row["message"] for row in allinone.ctl("doctor")["findings"]}
    keys = int(allinone.host.check([VENV_PYTHON, "-I", "-c", ETCD_SETTINGS]).stdout)
    assert keys > 5 and f" {keys} settings of the services; " in found["etcd"], found["etcd"]
    said = allinone.host.sh("cat /etc/backendai/agent.toml")
    bridge = allinone.host.sh("ip -4 -o address show docker0 | awk '{print $4}'").partition("/")[0]
    assert f'metadata-server-bind-host = "{bridge}"' in said
    server = sql(allinone, "SHOW server_version")[0].split()[0]
    assert found["manager's database"].endswith(f"PostgreSQL {server}"), found["manager's database"]


def test_doctor_finds_no_fault(allinone: SiteHost) -> None:
    result = allinone.host.run(["backendai-ctl", "doctor"])
    assert result.returncode == 0, result


def test_status_lists_every_service_as_healthy(allinone: SiteHost) -> None:
    shown = allinone.host.check(["backendai-ctl", "status"]).stdout
    for name in (*SERVICES, *SERVERS):
        assert name in shown
    print(shown)


def sql(site: SiteHost, query: str) -> list[str]:
    return own_servers.sql(site.host, query, "backendai").split()


def test_agent_is_registered_alive(allinone: SiteHost) -> None:
    rows = sql(allinone, "select id, status from agents")
    assert len(rows) == 1 and rows[0].endswith("|ALIVE"), rows


def test_the_app_proxy_answers_where_the_manager_was_told(allinone: SiteHost) -> None:
    """With the certificates that the manager trusts."""
    (address,) = sql(allinone, "select distinct wsproxy_addr from scaling_groups")
    assert everybody.visit(allinone.host, f"{address}/status")[0] == 200


def test_the_generated_admin_signs_in_with_a_browser(allinone: SiteHost, screenshots: Path) -> None:
    seen = browser.visit(
        allinone.host,
        url="https://localhost:8090",
        email=EMAIL,
        password=allinone.secret("admin-password"),
        pages={"start": ""},  # where a sign-in ends
        walk=True,
        folder=screenshots / "default-site",
    )
    errors = [error for page in seen.pages.values() for error in page["errors"]]
    assert [error for error in errors if not any(probe in error for probe in PROBES)] == []
    menu = {f"{above}/{one}" for above, names in MENU.items() for one in names.split()}
    assert {name for name in seen.pages if name.startswith("/")} == menu
    assert "Dashboard" in seen.pages["start"]["text"]
    assert seen.outside == {}
    for word in ("Start From URL", "Downloads", "FastTrack"):
        assert not any(word in page.get("text", "") for page in seen.pages.values()), word


def test_the_web_ui_is_told_the_limits_of_sessions(allinone: SiteHost) -> None:
    """Upstream's own would hide what is beyond 64 cores, 64 GiB and 2 GiB of shared memory."""
    found = everybody.settings(allinone.host)
    assert found["resources"]["maxCPUCoresPerContainer"] == 8192
    assert found["resources"]["maxMemoryPerContainer"] == 16384
    assert found["resources"]["maxShmPerContainer"] == 16384
    assert found["resources"]["maxCUDADevicesPerContainer"] == 64
    assert found["general"]["allowAppDownloadPanel"] is False
    assert found["general"]["allowCLIDownloadPanel"] is False
    assert found["general"]["defaultSessionEnvironment"] == IMAGE.partition(":3.")[0]


@pytest.mark.parametrize("path", ["/etc/backendai", "/var/lib/backendai", "/var/backups/backendai"])
def test_no_secret_is_readable_for_others(allinone: SiteHost, path: str) -> None:
    """By nobody: not as any user of the host, nor by the services of another component."""
    said = allinone.host.sh(
        "umask 077; cat /etc/backendai/secrets/* | tr -s '[:space:]' '\\n' | sed '/^$/d' >/run/sought\n"
        f"find {path} -type f -perm /077 -exec grep -Fal -f /run/sought {{}} + || :\n"
        "wc -l </run/sought; rm /run/sought"
    )
    *readable, sought = said.splitlines()
    assert readable == []
    assert int(sought) >= 10


def test_no_secret_is_in_a_command_line_environment_or_log(allinone: SiteHost) -> None:
    secrets = allinone.host.sh("cat /etc/backendai/secrets/*").split()
    seen = allinone.host.sh(
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n';"
        " journalctl -b --no-pager -o cat; cat /var/lib/backendai/ctl/*.json*"
    )
    assert [name for name in secrets if name in seen] == []
    assert len(secrets) >= 10


def test_nothing_tried_to_leave_the_host(allinone: SiteHost) -> None:
    assert allinone.network.attempts == set()
