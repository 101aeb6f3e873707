from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from devtools.signing import KEY, signing_key
from releasekit.errors import Failure


def test_a_throw_away_key_is_made_where_none_is_given(tmp_path: Path) -> None:
    if not shutil.which("gpg"):
        pytest.skip("this machine has no gpg")
    path = signing_key(tmp_path / "key.asc", {})
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    argv = ["gpg", "--homedir", str(home), "--batch", "--with-colons", "--show-keys", str(path)]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("sec:") and "ed25519" in shown


def test_the_users_own_file_is_used_and_a_key_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.asc").write_text("x")
    given = {KEY: str(tmp_path / "mine.asc")}
    assert signing_key(tmp_path / "key.asc", given) == tmp_path / "mine.asc"
    with pytest.raises(Failure, match="is no file"):
        signing_key(tmp_path / "key.asc", {KEY: "0123456789ABCDEF"})
