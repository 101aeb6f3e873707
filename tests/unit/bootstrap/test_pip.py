from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.cache import Cache
from bootstrap.pip import Pip, ensure_pip
from releasekit.errors import Failure
from releasekit.locks import Deb, DebianLock


def test_the_machine_keeps_its_way_to_the_index_but_not_its_constraints(
    pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.example/simple")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ca.pem")
    monkeypatch.setenv("PIP_CONSTRAINT", "/etc/constraints.txt")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    env = pip.env()
    assert env["PIP_INDEX_URL"] == "http://index.example/simple"
    assert env["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert env["PIP_CONSTRAINT"] == "/dev/null"
    assert "PYTHONDONTWRITEBYTECODE" not in env


def test_locks_read_published_indexes_only(pip: Pip) -> None:
    (pip.library / "pip/__main__.py").write_text(
        "print(\"global.extra-index-url='file:///opt/simple http://second.example/simple'\")\n"
        "print(\"global.find-links='/opt/wheels'\")\n"
        "print(\"global.cert='/etc/ca.pem'\")\n"
        "print(\":env:.timeout='180'\")\n"
    )
    env = pip.published_only()
    assert env["PIP_EXTRA_INDEX_URL"] == "http://second.example/simple"
    assert (env["PIP_FIND_LINKS"], env["PIP_CERT"], env["PIP_TIMEOUT"]) == (
        "",
        "/etc/ca.pem",
        "180",
    )
    assert env["PIP_CONFIG_FILE"] == "/dev/null"


def test_pip_comes_out_of_its_debian_package(
    cache: Cache,
    publish: Callable[..., Deb],
    make_deb: Callable[..., Path],
    tmp_path: Path,
) -> None:
    import io
    import zipfile

    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("pip/__main__.py", "")
    files = {"./usr/share/python-wheels/pip-25-py3-none-any.whl": raw.getvalue()}
    deb = publish("pip", make_deb(tmp_path / "x.deb", files).read_bytes())
    lock = DebianLock({"pip": ("trixie/pip",)}, {"trixie/pip": deb})
    found = ensure_pip(cache, lock, "python3", frozen=True)
    assert (found.library / "pip/__main__.py").is_file()
    assert ensure_pip(cache, lock, "python3", frozen=True) == found


def test_a_package_without_pip_is_a_clear_error(
    cache: Cache, publish: Callable[..., Deb], make_deb: Callable[..., Path], tmp_path: Path
) -> None:
    deb = publish("pip", make_deb(tmp_path / "x.deb", {"./a": b""}).read_bytes())
    lock = DebianLock({"pip": ("trixie/pip",)}, {"trixie/pip": deb})
    with pytest.raises(Failure, match="holds no pip wheel"):
        ensure_pip(cache, lock, "python3", frozen=True)
    assert not list((cache.root / "tools").iterdir())
