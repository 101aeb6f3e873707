"""Promise: installing brings files and starts nothing."""

from __future__ import annotations

from scenario import Installed, unit_states

# Names of ours in unit files.
OURS = ("backendai", "backend.ai")


def test_package_manager_finds_every_file_intact(installed: Installed) -> None:
    assert installed.family.verify(installed.host) == ""


def test_no_account_is_made_before_it_is_known_to_be_free(installed: Installed) -> None:
    """backendai-ctl makes them when it configures the host: the site's, with the number of the site file,
    and those of services.
    """
    for database in ("passwd", "group"):
        names = [row.split(":")[0] for row in installed.host.sh(f"getent {database}").splitlines()]
        assert "root" in names
        assert not [name for name in names if name == "bai" or name.startswith("backendai")]


def test_nothing_listens(installed: Installed) -> None:
    assert installed.host.sh("ss -H -l -n -t -u -w") == ""


def test_no_unit_is_enabled(installed: Installed) -> None:
    """A new unit file may wait to be used, but nothing of ours starts by itself."""
    new = unit_states(installed.host) - installed.units_before
    started = {unit for unit in new if unit.split()[1].startswith("enabled")}
    assert started == set()


def test_no_unit_of_ours_is_active(installed: Installed) -> None:
    shown = installed.host.sh("systemctl list-units --no-legend --plain --state=active")
    assert [line for line in shown.splitlines() if line.startswith(OURS)] == []


def test_host_is_healthy(installed: Installed) -> None:
    failed = installed.host.sh("systemctl --failed --no-legend --plain")
    assert failed == ""
    assert installed.host.sh("systemctl is-system-running") == "running"


def test_files_are_world_readable_and_roots(installed: Installed) -> None:
    """The agent binds its own files into containers, where any user reads them."""
    search = (
        "find /opt/backendai '(' ! -user 0 -o ! -group 0 -o ! -type l"
        " '(' -perm /022 -o -type f ! -perm -444 -o -type d ! -perm -555 ')' ')'"
    )
    assert installed.host.sh(f"{search} | head -20") == ""


def test_no_link_leads_nowhere(installed: Installed) -> None:
    assert installed.host.sh("find /opt/backendai /usr/bin/backend.ai -xtype l") == ""
