from __future__ import annotations

import shutil
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
        f"cat {tmp_path}/stdout;\n"
        f"exit $(cat {tmp_path}/status);; esac\n"
    )
    fake.chmod(0o755)
    for name in ("stdout", "stderr"):
        (tmp_path / name).touch()
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


SIMULATED = """\
NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  gcc-14-base libc6 tool
Inst gcc-14-base (14.2.0-19 Debian:13.0/stable [amd64])
Inst libc6:amd64 (2.41-12 Debian:13.0/stable [amd64]) []
Inst tool (1 Debian:13.0/stable [all])
Conf gcc-14-base (14.2.0-19 Debian:13.0/stable [amd64])
"""


def test_what_packages_need_is_what_apt_would_install(private: PrivateApt, tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text(SIMULATED)
    assert private.closure(["tool", "libc6"]) == ["gcc-14-base", "libc6", "tool"]
    words = (tmp_path / "called").read_text().splitlines()
    assert words[-4:] == ["--simulate", "--no-install-recommends", "tool", "libc6"]


def test_packages_that_do_not_fit_are_named_with_what_apt_says(
    private: PrivateApt, tmp_path: Path
) -> None:
    (tmp_path / "stderr").write_text("E: Unable to locate package no-such\n")
    (tmp_path / "status").write_text("100")
    with pytest.raises(
        Failure, match="trixie cannot install no-such, b:\nE: Unable to locate"
    ) as e:
        private.closure(["no-such", "b"])
    assert e.value.hint == "correct `debian` in the BUILD file"


INDEX = """\
Package: base
Version: 1
Architecture: all
Depends: needed (>= 2), one | two
Recommends: recommended

Package: needed
Version: 2
Architecture: amd64
Pre-Depends: deep

Package: deep
Version: 1
Architecture: amd64

Package: one
Version: 1
Architecture: amd64
Conflicts: fussy

Package: two
Version: 1
Architecture: amd64

Package: fussy
Version: 1
Architecture: amd64
Depends: base

Package: recommended
Version: 1
Architecture: all

Package: broken
Version: 1
Architecture: amd64
Depends: needed (>= 3)
"""


def test_apt_itself_gives_what_packages_need_on_an_empty_host(tmp_path: Path) -> None:
    if not shutil.which("apt-get"):
        pytest.skip("this machine has no apt")
    mirror, folder = tmp_path / "mirror", tmp_path / "apt"
    mirror.mkdir()
    rows = [
        f"{row.strip()}\nFilename: ./{number}.deb\nSize: 1\nSHA256: {'a' * 64}\n"
        for number, row in enumerate(INDEX.split("\n\n"))
    ]
    (mirror / "Packages").write_text("\n".join(rows))
    apt_ = PrivateApt("trixie", folder, Mirrors("", ""))
    for name in ("lists/partial", "archives/partial", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb [trusted=yes] {mirror.as_uri()} ./\n")
    (folder / "status").touch()
    (folder / "apt.conf").touch()
    done = apt_._run("apt-get", "update")
    assert done.returncode == 0, done.stderr
    assert apt_.closure(["base"]) == ["base", "deep", "needed", "one"]
    assert apt_.closure(["base", "fussy"]) == ["base", "deep", "fussy", "needed", "two"]
    with pytest.raises(Failure, match=r"cannot install broken:(.|\n)*Depends: needed \(>= 3\)"):
        apt_.closure(["broken"])
