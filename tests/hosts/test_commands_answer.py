"""Promise: after installation every command of Backend.AI answers."""

from __future__ import annotations

import pytest
from scenario import Installed

BACKENDAI = "/usr/bin/backend.ai"
GROUPS = ("mgr", "ag", "storage", "web", "app-proxy-coordinator", "app-proxy-worker")
VERSION = "26.9.6"


@pytest.mark.parametrize("group", GROUPS)
def test_group_shows_its_help(installed: Installed, group: str) -> None:
    shown = installed.host.check([BACKENDAI, group, "--help"]).stdout
    assert "start-server" in shown


def test_client_shows_its_help(installed: Installed) -> None:
    shown = installed.host.check([BACKENDAI, "--help"]).stdout
    assert "session" in shown


def test_version_is_the_packaged_one(installed: Installed) -> None:
    assert VERSION in installed.host.check([BACKENDAI, "--version"]).stdout


def test_alembic_shows_its_help(installed: Installed) -> None:
    shown = installed.host.check(["/opt/backendai/current/bin/alembic", "--help"]).stdout
    assert "upgrade" in shown


def test_unprivileged_user_may_run_them(installed: Installed) -> None:
    shown = installed.host.check([BACKENDAI, "mgr", "--help"], user="nobody").stdout
    assert "start-server" in shown


def test_commands_write_nothing_below_the_prefix(installed: Installed) -> None:
    """As root, who may: byte-code is shipped and valid, so nothing is left to be written."""
    installed.host.check([BACKENDAI, "mgr", "--help"])
    new = installed.host.files() - installed.files_after
    assert [path for path in sorted(new) if path.startswith("/opt/backendai")] == []
