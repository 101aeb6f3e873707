from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from releasekit.debzst import compress_deb
from releasekit.errors import Failure


def ar(members: dict[str, bytes]) -> bytes:
    data = b"!<arch>\n"
    for name, body in members.items():
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode()
        data += body + b"\n" * (len(body) % 2)
    return data


def make(path: Path, tmp_path: Path, text: str) -> Path:
    for name, file in (("control.tar", "control"), ("data.tar", "payload")):
        (tmp_path / file).write_text(f"Package: x\nVersion: 1\nDescription: {text}\n")
        subprocess.run(["tar", "-cf", name, f"./{file}"], cwd=tmp_path, check=True)
    members = {name: (tmp_path / name).read_bytes() for name in ("control.tar", "data.tar")}
    path.write_bytes(ar({"debian-binary": b"2.0\n", **members}))
    return path


def test_dpkg_reads_the_result_and_finds_the_same_files(tmp_path: Path) -> None:
    deb = make(tmp_path / "x.deb", tmp_path, "some text " * 50)
    before = deb.stat().st_size
    compress_deb(deb, level=9)
    assert deb.stat().st_size < before
    members = subprocess.run(
        ["ar", "t", str(deb)], check=True, capture_output=True, text=True
    ).stdout
    assert members.split() == ["debian-binary", "control.tar", "data.tar.zst"]
    listing = subprocess.run(
        ["dpkg-deb", "-c", str(deb)], check=True, capture_output=True, text=True
    )
    assert "./payload" in listing.stdout


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    deb = make(tmp_path / "x.deb", tmp_path, "text")
    copy = tmp_path / "y.deb"
    copy.write_bytes(deb.read_bytes())
    compress_deb(deb, level=3)
    compress_deb(copy, level=3)
    assert deb.read_bytes() == copy.read_bytes()


def test_what_is_no_deb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(b"something else")
    with pytest.raises(Failure, match="is not a deb"):
        compress_deb(path, level=9)


def test_a_deb_that_is_compressed_already_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(ar({"debian-binary": b"2.0\n", "data.tar.zst": b"x"}))
    with pytest.raises(Failure, match=r"data\.tar\.zst is compressed already"):
        compress_deb(path, level=9)


def test_a_deb_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    deb = make(tmp_path / "x.deb", tmp_path, "text")
    deb.write_bytes(deb.read_bytes()[:-5000])
    with pytest.raises(Failure, match="cut short"):
        compress_deb(deb, level=9)
