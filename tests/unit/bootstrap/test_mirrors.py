from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.mirrors import Mirrors, apt_proxies, find_mirrors
from releasekit.errors import Failure

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://one.example/debian/
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://two.example/security
Suites: bookworm-security
Components: main
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_deb822_sources(etc: Path) -> None:
    (etc / "sources.list.d/debian.sources").write_text(DEB822)
    assert find_mirrors(etc) == Mirrors("http://one.example/debian", "http://two.example/security")


def test_one_line_sources(etc: Path) -> None:
    (etc / "sources.list").write_text(
        "# deb http://no.example/debian bullseye main\n"
        "deb-src http://no.example/debian bullseye main\n"
        "deb [arch=amd64 signed-by=/x] http://one.example/debian/ bullseye main # note\n"
        "deb http://two.example/sec bullseye-security main\n"
    )
    assert find_mirrors(etc) == Mirrors("http://one.example/debian", "http://two.example/sec")


def test_sources_of_third_parties_and_disabled_ones_are_passed_over(etc: Path) -> None:
    third = "deb https://vendor.example/apt nodistro main\ndeb https://x.example ./\n"
    (etc / "sources.list.d/a.list").write_text(third)
    off = DEB822.replace("Types", "Enabled: no\nTypes")
    (etc / "sources.list.d/b.sources").write_text(off)
    (etc / "sources.list.d/c.list.save").write_text("deb http://no.example/debian sid main\n")
    with pytest.raises(Failure, match="no Debian mirror is known") as caught:
        find_mirrors(etc)
    assert "BACKENDAI_DEBIAN_MIRROR" in caught.value.hint


def test_security_defaults_to_the_sibling(etc: Path) -> None:
    (etc / "sources.list").write_text("deb http://one.example/debian trixie main\n")
    mirrors = find_mirrors(etc)
    assert mirrors.url("security", "pool/x") == "http://one.example/debian-security/pool/x"
    assert mirrors.url("main", "pool/x") == "http://one.example/debian/pool/x"


def test_a_list_of_mirrors_in_a_file_gives_its_first(etc: Path) -> None:
    listing = etc / "mirrors.list"
    listing.write_text("# ours\nhttp://one.example/debian/ priority:1\nhttp://two.example/debian\n")
    (etc / "sources.list").write_text(f"deb mirror+file:{listing} trixie main\n")
    assert find_mirrors(etc).main == "http://one.example/debian"


def test_the_variables_come_first(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKENDAI_DEBIAN_MIRROR", "file:///srv/debian/")
    assert find_mirrors(etc) == Mirrors("file:///srv/debian", "file:///srv/debian-security")
    monkeypatch.setenv("BACKENDAI_DEBIAN_SECURITY_MIRROR", "http://s.example/x/")
    assert find_mirrors(etc).security == "http://s.example/x"
    monkeypatch.setenv("BACKENDAI_DEBIAN_MIRROR", "/srv/debian")
    with pytest.raises(Failure, match="is not an http, https or file URL"):
        find_mirrors(etc)


def test_proxies_of_apt_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "apt-config"
    fake.write_text(
        "#!/bin/sh\ncase $3 in *http::*) echo \"V='http://p.example:3128'\";; "
        "*https::*) echo \"V='DIRECT'\";; esac\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert apt_proxies() == {"http": "http://p.example:3128"}
    monkeypatch.setenv("PATH", "/no/such")
    assert apt_proxies() == {}
