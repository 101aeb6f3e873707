"""Debian's Valkey keeps its file under another name, for ours takes that of before."""

from __future__ import annotations

from typing import Any, cast

import pytest

from backendai_ctl.context import Context
from backendai_ctl.moving import valkey
from backendai_ctl.platform import resp, units
from backendai_ctl.services import serving

CONFIG = (
    'include /etc/valkey/valkey.conf\nrequirepass "with \\"quotes\\" and \\\\"\nappendonly yes\n'
)


@pytest.fixture
def host(earlier: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    ours = earlier.paths.config / "valkey.conf"
    ours.write_text(CONFIG)
    text = f"# Written by backendai-ctl\n[Service]\nLoadCredential=valkey.conf:{ours}\nExecStart=\n"
    (units.FOLDER / "valkey-server.service.d/backendai.conf").write_text(text)
    monkeypatch.setattr(serving, "run", lambda ctx, _name: ours.write_text("port 8110\n"))
    return earlier


def test_a_restart_of_the_old_one_finds_its_settings_and_password_whenever_it_happens(
    host: Context,
) -> None:
    for _ in range(2):  # a run that was cut off does it again
        valkey.ready(host, cast(Any, _Former))
        drop_in = (units.FOLDER / "valkey-server.service.d/backendai.conf").read_text()
        kept = valkey.kept_config(host)
        assert f"LoadCredential=valkey.conf:{kept}\n" in drop_in
        assert kept.read_text() == CONFIG
        assert kept.stat().st_mode & 0o777 == 0o600
        assert valkey._password(host) == 'with "quotes" and \\'


def test_afterwards_nothing_of_ours_is_left_for_the_old_one(host: Context) -> None:
    valkey.ready(host, cast(Any, _Former))
    valkey.undo(host)
    assert not (units.FOLDER / "valkey-server.service.d").exists()
    assert not valkey.kept_config(host).exists()
    assert (host.paths.config / "valkey.conf").read_text() == "port 8110\n"


def test_a_drop_in_of_somebody_else_stays(host: Context) -> None:
    path = units.FOLDER / "valkey-server.service.d/backendai.conf"
    path.write_text("[Service]\nNice=5\n")
    valkey.undo(host)
    assert path.read_text() == "[Service]\nNice=5\n"


class _Former:
    name = "valkey"


class Server:
    """Answers CLIENT as Valkey does."""

    lines = (
        "id=7 addr=127.0.0.1:41000 laddr=127.0.0.1:6379 fd=8 name= flags=N db=0",
        "id=71 addr=10.1.2.3:41001 laddr=10.1.2.1:6379 fd=9 name= flags=N db=0",
        "id=9 addr=[fd00::5]:41002 laddr=[fd00::1]:6379 fd=10 name= flags=P db=0",
        "id=10 addr=127.0.0.1:41003 laddr=127.0.0.1:6379 fd=11 name= flags=S db=0",
    )

    def call(self, *words: str) -> resp.Reply:
        return 7 if words == ("CLIENT", "ID") else "\n".join(self.lines)


def test_clients_are_known_by_address_without_ourselves_and_replicas() -> None:
    assert valkey._clients(cast(Any, Server())) == ["10.1.2.3", "fd00::5"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({}, True),
        ({"aof_enabled": "0"}, False),
        ({"aof_rewrite_in_progress": "1"}, False),
        ({"aof_rewrite_scheduled": "1"}, False),
        ({"aof_last_bgrewrite_status": "err"}, False),
    ],
)
def test_content_counts_once_it_is_in_the_append_only_file(
    said: dict[str, str], kept: bool
) -> None:
    well = {
        "aof_enabled": "1",
        "aof_rewrite_in_progress": "0",
        "aof_rewrite_scheduled": "0",
        "aof_last_bgrewrite_status": "ok",
    }
    assert valkey._kept({**well, **said}) is kept
