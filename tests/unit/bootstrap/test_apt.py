from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import apt
from bootstrap.apt import PrivateApt, compare_versions
from bootstrap.mirrors import Mirrors
from releasekit.errors import Failure

PACKAGES = """\
Package: liba
Source: a-source (1.0-1)
Version: 1.0-1+b2
Filename: pool/main/a/liba_1.0-1+b2_amd64.deb
Size: 10
SHA256: {sum}

Package: libb
Version: 1:2.0~rc1-1
Filename: pool/main/b/libb_2.0~rc1-1_amd64.deb
Size: 20
SHA256: {sum}
"""


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0a"),
        ("1.0a", "1.0+b1"),
        ("9", "1:1"),
        ("1.0-1", "1.0-1+deb13u1"),
        ("1.0-1~deb12u1", "1.0-1"),
        ("2.41-12+deb13u5", "2.41-12+deb13u10"),
        ("1.2.3-1", "1.2.3.1-1"),
        ("1.0", "1.0-1"),
    ],
)
def test_versions_are_ordered_as_debian_does(lower: str, higher: str) -> None:
    assert compare_versions(lower, higher) < 0
    assert compare_versions(higher, lower) > 0
    assert compare_versions(lower, lower) == 0


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrivateApt:
    """A private apt whose apt-get is a script; the index it names is in tmp_path."""
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(apt, "_KEYRINGS", (keyring,))
    fake = tmp_path / "bin" / "apt-get"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *indextargets*) cat {tmp_path}/targets;;\n'
        f"*) printf '%s\\n' \"$@\" > {tmp_path}/called; cat {tmp_path}/stderr >&2;\n"
        f"exit $(cat {tmp_path}/status);; esac\n"
    )
    fake.chmod(0o755)
    (tmp_path / "stderr").touch()
    (tmp_path / "status").write_text("0")
    monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
    return PrivateApt("trixie", tmp_path / "apt", Mirrors("http://m.example/d", "http://s.example"))


def test_the_newest_of_all_archives_wins(private: PrivateApt, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(PACKAGES.format(sum="a" * 64))
    new.write_text(PACKAGES.format(sum="b" * 64).split("\n\n")[0].replace("+b2", "+deb13u1"))
    (tmp_path / "targets").write_text(
        f"trixie|{old}\ntrixie-security|{new}\ntrixie-updates|/none\n"
    )
    private.update()
    found = private.newest()
    assert (found["liba"].version, found["liba"].archive) == ("1.0-1+deb13u1", "security")
    assert (found["liba"].source, found["liba"].sha256) == ("a-source (= 1.0-1)", "b" * 64)
    assert (found["libb"].archive, found["libb"].suite) == ("main", "trixie")
    assert found["libb"].source == "libb (= 1:2.0~rc1-1)"
    assert found["libb"].path == "pool/main/b/libb_2.0~rc1-1_amd64.deb"


def test_every_source_is_checked_with_debian_keys(private: PrivateApt, tmp_path: Path) -> None:
    private.update()
    lines = (tmp_path / "apt/sources.list").read_text().splitlines()
    assert lines == [
        f"deb [signed-by={tmp_path}/keyring.gpg] http://m.example/d trixie main",
        f"deb [signed-by={tmp_path}/keyring.gpg] http://m.example/d trixie-updates main",
        f"deb [signed-by={tmp_path}/keyring.gpg] http://s.example trixie-security main",
    ]
    called = (tmp_path / "called").read_text()
    assert "nauthenticated" not in called
    assert f"Dir::State::Lists={tmp_path}/apt/lists" in called


def test_a_bad_signature_is_a_clear_error(private: PrivateApt, tmp_path: Path) -> None:
    (tmp_path / "stderr").write_text("noise\nE: The repository is not signed.\n")
    (tmp_path / "status").write_text("100")
    with pytest.raises(Failure, match="signed index of Debian trixie:\nE: The repository"):
        private.update()


def test_no_apt_and_no_keys_are_clear_errors(
    private: PrivateApt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(Failure, match="apt-get is not on this machine"):
        private.update()
    monkeypatch.setattr(apt, "_KEYRINGS", (Path("/no/such.gpg"),))
    with pytest.raises(Failure) as caught:
        private.update()
    assert caught.value.hint == "install the package debian-archive-keyring"


def test_an_empty_index_is_a_clear_error(private: PrivateApt, tmp_path: Path) -> None:
    (tmp_path / "targets").write_text("")
    private.update()
    with pytest.raises(Failure, match="is empty"):
        private.newest()
