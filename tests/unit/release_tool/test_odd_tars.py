"""A tar that means more than the signed contents of its files is refused, whoever unpacks it how."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from release_tool import delta as deltas
from release_tool.archive import FILE, header
from release_tool.bundle import Bundle, Place
from release_tool.delta_file import DeltaFile
from release_tool.layout import parse_manifest, parse_release
from tests.unit.release_tool.conftest import DAY, RELEASED, MakeBundle, RunRelease
from tests.unit.release_tool.test_release import refused, succeeded

CHECKS = "lib/checks.sh"
WHOLE = b"check_files() { grep -q good; }\n" + b"# " * 1000 + b"\nchecks=whole\n"
CUT = 512
Change = Callable[[bytes, tarfile.TarInfo], bytes]


def rewritten(info: tarfile.TarInfo, **fields: object) -> bytes:
    """The header of an entry with other fields, its sum right."""
    other = tarfile.TarInfo()
    for name in ("name", "size", "mode", "mtime", "type"):
        setattr(other, name, fields.get(name, getattr(info, name)))
    for name, value in fields.items():
        setattr(other, name, value)
    return other.tobuf(tarfile.GNU_FORMAT)


def sparse(whole: bytes, info: tarfile.TarInfo) -> bytes:
    """The signed bytes are all there; GNU tar unpacks the first of them alone."""
    head = bytearray(header(info.name.encode(), b"S", mode=0o644, size=info.size, mtime=info.mtime))
    head[386:410] = b"%011o\0%011o\0" % (0, CUT)
    head[483:495] = b"%011o\0" % CUT
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return whole[: info.offset] + bytes(head) + whole[info.offset_data :]


def extended(whole: bytes, info: tarfile.TarInfo) -> bytes:
    """An extended header before the entry gives it another place."""
    text = b"28 path=elsewhere/checks.sh\n"
    pax = header(b"././@PaxHeader", b"x", mode=0o644, size=len(text), mtime=info.mtime)
    return whole[: info.offset] + pax + text.ljust(512, b"\0") + whole[info.offset :]


def with_fields(**fields: object) -> Change:
    def change(whole: bytes, info: tarfile.TarInfo) -> bytes:
        return whole[: info.offset] + rewritten(info, **fields) + whole[info.offset_data :]

    return change


def second_archive(whole: bytes, info: tarfile.TarInfo) -> bytes:
    """`tar -i` goes on behind the end, with another file of the same name."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    return whole + made.getvalue()


def twice(whole: bytes, info: tarfile.TarInfo) -> bytes:
    end = info.offset_data + -(-info.size // 512) * 512
    return whole[:end] + whole[info.offset : end] + whole[end:]


def between(whole: bytes, info: tarfile.TarInfo) -> bytes:
    at = info.offset_data + info.size
    return whole[:at] + b"x" + whole[at + 1 :]


def link_after(whole: bytes, info: tarfile.TarInfo) -> bytes:
    """The file first, as it was signed, then a link of its name."""
    end = info.offset_data + -(-info.size // 512) * 512
    link = rewritten(info, type=tarfile.SYMTYPE, linkname="/tmp/other", size=0)
    return whole[:end] + link + whole[end:]


ODD: dict[str, Change] = {
    "sparse": sparse,
    "extended header": extended,
    "second archive": second_archive,
    "twice": twice,
    "between": between,
    "link": link_after,
    "hard link": with_fields(type=tarfile.LNKTYPE, linkname="other", size=0),
    "device": with_fields(type=tarfile.CHRTYPE),
    "old kind of file": with_fields(type=tarfile.AREGTYPE),
    "contiguous": with_fields(type=tarfile.CONTTYPE),
    "owner": with_fields(uid=1000),
    "owner's name": with_fields(uname="daemon"),
    "set-user-ID": with_fields(mode=0o4755),
    "writable": with_fields(mode=0o666),
    "time": with_fields(mtime=1),
    "cut": lambda whole, info: whole[:-512],
    "no end": lambda whole, info: whole[:-10240],
    "byte behind": lambda whole, info: whole + b"\0",
}


@pytest.fixture
def good(make_bundle: MakeBundle) -> Path:
    return make_bundle(changes={CHECKS: WHOLE})


def changed(path: Path, change: Change) -> None:
    with tarfile.open(path) as tar:
        info = tar.getmember(f"{path.stem}/{CHECKS}")
    path.write_bytes(change(path.read_bytes(), info))


@pytest.mark.parametrize("name", ODD)
def test_verify_refuses(name: str, good: Path, run_release: RunRelease) -> None:
    succeeded(run_release("verify", good))
    changed(good, ODD[name])
    refused(run_release("verify", good), "byte ", "do not use it")


def test_tar_unpacks_another_file_of_a_sparse_member(good: Path, tmp_path: Path) -> None:
    """What the refusal is about: the same bytes in the tar, another file on the disk."""
    changed(good, sparse)
    assert WHOLE in good.read_bytes()
    subprocess.run(["tar", "xf", good, "-C", tmp_path], check=True)
    assert (tmp_path / good.stem / CHECKS).read_bytes() == WHOLE[:CUT]


def with_headers(path: Path, change: Callable[[tarfile.TarInfo], None]) -> None:
    """Change what the header of every entry says, and nothing else."""
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        for info in tar:
            assert whole[info.offset : info.offset + 512] == info.tobuf(tarfile.GNU_FORMAT)
            change(info)
            head = info.tobuf(tarfile.GNU_FORMAT)
            whole = whole[: info.offset] + head + whole[info.offset + 512 :]
    path.write_bytes(whole)


def test_a_time_that_is_not_the_releases(good: Path, run_release: RunRelease) -> None:
    def later(info: tarfile.TarInfo) -> None:
        info.mtime += DAY

    with_headers(good, later)
    refused(run_release("verify", good), "the date is 2026-11-02, and RELEASE says 2026-11-01")


def test_another_folder_than_the_release_names(good: Path, run_release: RunRelease) -> None:
    def renamed(info: tarfile.TarInfo) -> None:
        info.name = info.name.replace("backendai-", "backendbi-", 1)

    with_headers(good, renamed)
    refused(run_release("verify", good), "the folder is backendbi-")


def test_apply_refuses_what_a_delta_makes_of_signed_files(
    make_bundle: MakeBundle, run_release: RunRelease, tmp_path: Path
) -> None:
    """Between the files of the new tar a delta has whatever its maker wants."""
    old, new = make_bundle("26.9.6-1", 1), make_bundle("26.9.6-2", 2, changes={CHECKS: WHOLE})
    changed(new, sparse)
    odd = object.__new__(Bundle)
    odd.path = new
    with tarfile.open(new) as tar:
        files = [info for info in tar if info.isreg()]
    odd.places = {
        info.name.partition("/")[2]: Place(
            new, info.offset_data, len(WHOLE) if info.issparse() else info.size
        )
        for info in files
    }
    odd.facts = parse_release(odd.text("RELEASE"), "new")
    odd.manifest = parse_manifest(odd.text("MANIFEST"), "new")
    made, result = tmp_path / "odd.delta", tmp_path / "result.tar"
    deltas.make_delta(Bundle(old), odd, made, portable=True)
    assert DeltaFile(made).size == new.stat().st_size
    refused(run_release("apply", old, made, "--output", result), "result.tar.part, byte ")
    assert list(tmp_path.glob("result.tar*")) == []


def test_a_long_name_is_read_as_it_is_written(
    make_bundle: MakeBundle, run_release: RunRelease
) -> None:
    name = f"docs/{'long' * 20}/{'longer' * 9}.md"
    path = make_bundle(changes={name: b"text"})
    succeeded(run_release("verify", path))
    with tarfile.open(path) as tar:
        info = tar.getmember(f"{path.stem}/{name}")
    whole, start = path.read_bytes(), info.offset + 512
    for at in (60, len(info.name)):  # a letter of the long name, and what ends it
        odd = bytearray(whole)
        odd[start + at] ^= ord("a")
        path.write_bytes(odd)
        refused(run_release("verify", path), "byte ")


def test_the_header_is_that_of_the_standard_library() -> None:
    for size in (0, 7, 8**11 - 1, 8**11):
        info = tarfile.TarInfo("a/b")
        info.size, info.mode, info.mtime = size, 0o755, RELEASED
        head = header(b"a/b", FILE, mode=0o755, size=size, mtime=RELEASED)
        assert head == info.tobuf(tarfile.GNU_FORMAT)
