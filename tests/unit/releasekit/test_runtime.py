from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from releasekit.errors import Failure
from releasekit.files import sha256_of
from releasekit.runtime import PRUNED, assemble, main

MakeDeb = Callable[..., Path]
MakeElf = Callable[..., bytes]
SITECUSTOMIZE = Path(__file__).resolve().parents[3] / "packaging/runtime/sitecustomize.py"
LIB = "./usr/lib/x86_64-linux-gnu"
PY = "./usr/lib/python3.13"


@pytest.fixture
def debs(tmp_path: Path, make_deb: MakeDeb, make_elf: MakeElf) -> list[Path]:
    """A C library and a CPython, each with what has to be left out."""
    libc = {
        f"{LIB}/libc-2.41.so": make_elf(soname="libc.so.6"),
        f"{LIB}/libc.so.6": "libc-2.41.so",
        f"{LIB}/libnss_files.so.2": make_elf(soname="libnss_files.so.2", needed=["libc.so.6"]),
        f"{LIB}/ld-linux-x86-64.so.2": make_elf(soname="ld-linux-x86-64.so.2"),
        f"{LIB}/libmemusage.so": make_elf(),
        f"{LIB}/gconv/UTF-7.so": make_elf(),
        "./usr/share/doc/libc6/copyright": b"LGPL",
    }
    python = {
        "./usr/bin/python3.13": make_elf(needed=["libc.so.6"], interpreter="/lib64/ld.so"),
        "./usr/bin/pdb3.13": "../lib/python3.13/os.py",
        f"{PY}/os.py": b"",
        f"{PY}/_sysconfigdata__x.py": b"v = {'A': 1,\n 'WHEEL_PKG_DIR': '/usr/share/x',\n}\n",
        f"{PY}/EXTERNALLY-MANAGED": b"",
        f"{PY}/pydoc_data/topics.py": b"",
        f"{PY}/sitecustomize.py": "/etc/python3.13/sitecustomize.py",
        f"{PY}/lib-dynload/_dbm.so": make_elf(needed=["libdb-5.3.so"]),
        f"{PY}/lib-dynload/_ssl.so": make_elf(needed=["libc.so.6"]),
        "./etc/python3.13/sitecustomize.py": b"import apport",
        "./usr/share/doc/python3.13": "libc6",
        "./usr/share/man/man1/python3.13.1": b"",
    }
    return [
        make_deb(tmp_path / "libc6.deb", libc, package="libc6"),
        make_deb(tmp_path / "python3.13.deb", python, package="python3.13"),
    ]


def names(tree: Path) -> set[str]:
    return {p.relative_to(tree).as_posix() for p in tree.rglob("*") if not p.is_dir()}


def test_the_tree_holds_all_it_runs_with_and_nothing_else(
    tmp_path: Path, debs: list[Path], patchelf: Path
) -> None:
    site = tmp_path / "site.py"
    site.write_text("ours = 1\n")
    tree = tmp_path / "out"
    assemble(debs, "/opt/x", patchelf, tree, site)
    found = {name for name in names(tree) if "libnss" not in name}
    assert found == {
        "bin/python",
        "bin/python3",
        "bin/python3.13",
        "lib/ld-linux-x86-64.so.2",
        "lib/libc.so.6",
        "lib/python3.13/_sysconfigdata__x.py",
        "lib/python3.13/lib-dynload/_ssl.so",
        "lib/python3.13/os.py",
        "lib/python3.13/sitecustomize.py",
        "share/licenses/libc6/copyright",
        "share/licenses/python3.13/copyright",
    }
    assert (tree / "lib/python3.13/sitecustomize.py").read_text() == "ours = 1\n"
    assert not (tree / "lib/ld-linux-x86-64.so.2").is_symlink()
    assert "WHEEL_PKG_DIR" not in (tree / "lib/python3.13/_sysconfigdata__x.py").read_text()


def test_the_interpreter_gets_its_loader_and_a_forced_rpath(
    tmp_path: Path, debs: list[Path], patchelf: Path
) -> None:
    assemble(debs, "/opt/x", patchelf, tmp_path / "out", None)
    words = (tmp_path / "called").read_text().split()
    assert words[:5] == [
        "--set-interpreter",
        "/opt/x/lib/ld-linux-x86-64.so.2",
        "--force-rpath",
        "--set-rpath",
        "$ORIGIN/../lib:/opt/x/lib",
    ]


def test_modules_of_the_host_name_service_are_shadowed(
    tmp_path: Path, debs: list[Path], patchelf: Path
) -> None:
    assemble(debs, "/opt/x", patchelf, tmp_path / "out", None)
    assert os.readlink(tmp_path / "out/lib/libnss_db.so.2") == "libnss_files.so.2"


def test_a_missing_library_is_named_with_who_needs_it(
    tmp_path: Path, debs: list[Path], patchelf: Path, make_deb: MakeDeb, make_elf: MakeElf
) -> None:
    files = {
        f"{PY}/lib-dynload/_lzma.so": make_elf(needed=["liblzma.so.5"]),
        "./usr/share/doc/more/copyright": b"",
    }
    more = make_deb(tmp_path / "more.deb", files, package="more")
    tree = tmp_path / "out"
    with pytest.raises(Failure, match=r"liblzma\.so\.5 \(needed by lib/python3\.13/.*_lzma\.so\)"):
        assemble([*debs, more], "/opt/x", patchelf, tree, None)
    assert not tree.exists()


def test_packages_without_python_are_refused(
    tmp_path: Path, debs: list[Path], patchelf: Path
) -> None:
    with pytest.raises(Failure, match="hold no CPython"):
        assemble(debs[:1], "/opt/x", patchelf, tmp_path / "out", None)


def test_the_same_packages_give_the_same_tree_whatever_the_umask(
    tmp_path: Path, debs: list[Path], patchelf: Path
) -> None:
    trees = []
    for mask, order in ((0o022, 1), (0o077, -1)):
        tree = tmp_path / f"out{mask}"
        before = os.umask(mask)
        try:
            assemble(debs[::order], "/opt/x", patchelf, tree, None)
        finally:
            os.umask(before)
        trees.append(
            {
                name: os.readlink(tree / name)
                if (tree / name).is_symlink()
                else (sha256_of(tree / name), oct((tree / name).stat().st_mode))
                for name in names(tree)
            }
        )
        assert {oct(p.stat().st_mode & 0o777) for p in tree.rglob("*") if p.is_dir()} == {"0o755"}
    assert trees[0] == trees[1]


def test_the_command_line_does_the_same(tmp_path: Path, debs: list[Path], patchelf: Path) -> None:
    out = tmp_path / "out"
    argv = ["--debs", *map(str, debs), "--prefix", "/opt/x"]
    assert main([*argv, "--patchelf", str(patchelf), "--out", str(out)]) == 0
    assert (out / "bin/python3.13").is_file()


BUNDLES = {
    "debian": "/etc/ssl/certs/ca-certificates.crt",
    "el": "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "el-old": "/etc/pki/tls/certs/ca-bundle.crt",
    "suse": "/etc/ssl/ca-bundle.pem",
}


def certificates(
    monkeypatch: pytest.MonkeyPatch, present: set[str], **variables: str
) -> str | None:
    """SSL_CERT_FILE after sitecustomize ran on a host that has these paths only."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def listdir(path: str) -> list[str]:
        if path not in present:
            raise FileNotFoundError(path)
        return ["0123abcd.0"] if f"{path}/" in present else []

    with monkeypatch.context() as patch:
        patch.setattr(os.path, "exists", lambda path: path in present)
        patch.setattr(os, "access", lambda path, mode: path in present)
        patch.setattr(os, "listdir", listdir)
        exec(compile(SITECUSTOMIZE.read_text(), "sitecustomize", "exec"), {})
    return os.environ.get("SSL_CERT_FILE")


@pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
def test_certificates_are_found_where_each_distribution_keeps_them(
    monkeypatch: pytest.MonkeyPatch, bundle: str
) -> None:
    assert certificates(monkeypatch, {bundle}) == bundle
    # Debian's folder without certificates in it (package openssl alone) does not count.
    assert certificates(monkeypatch, {bundle, "/usr/lib/ssl/certs"}) == bundle


def test_certificates_are_left_to_openssl_or_the_user_where_they_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    el = BUNDLES["el"]
    assert certificates(monkeypatch, set()) is None
    assert certificates(monkeypatch, {el, "/usr/lib/ssl/cert.pem"}) is None
    assert certificates(monkeypatch, {el, "/usr/lib/ssl/certs", "/usr/lib/ssl/certs/"}) is None
    assert certificates(monkeypatch, {el}, SSL_CERT_FILE="/mine") == "/mine"
    assert certificates(monkeypatch, {el}, SSL_CERT_DIR="/mine") is None


def test_every_prune_rule_has_a_reason() -> None:
    assert all(rule.reason for rule in PRUNED)
    assert len({rule.pattern for rule in PRUNED}) == len(PRUNED)
