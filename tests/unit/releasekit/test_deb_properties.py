"""Debian packages and rpm headers are read as they were written; what is damaged is a Failure."""

from __future__ import annotations

import contextlib
import io
import lzma
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from releasekit import rpm_sign
from releasekit.apt_repository import stanza
from releasekit.debfile import control, extract
from releasekit.errors import Failure

names = st.from_regex(r"[A-Z][A-Za-z0-9-]{0,10}", fullmatch=True)
words = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20
)
words |= st.just("no\u2028new\x0bline\x85end")
lines = st.lists(words, max_size=4).map(" ".join)
# What deb822 holds: a first line, and others that are not empty.
values = st.builds(
    lambda first, more: "\n".join([first, *more]), lines, st.lists(st.just(".") | words, max_size=3)
)
fields = st.dictionaries(names, values, min_size=1, max_size=5)


def member(name: str, data: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
    return header + data + b"\n" * (len(data) % 2)


def tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def package(text: str | bytes, files: dict[str, bytes]) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    return b"".join(
        [
            b"!<arch>\n",
            member("debian-binary", b"2.0\n"),
            member("control.tar.xz", lzma.compress(tar({"./control": content}), preset=0)),
            member("data.tar", tar(files)),
        ]
    )


def deb822(text: str) -> dict[str, str]:
    """Fields by the words of deb822(5), in a reader of its own."""
    found: dict[str, str] = {}
    for field in text.replace("\n ", "\0").removesuffix("\n").split("\n"):
        name, _, value = field.partition(":")
        found[name] = value.removeprefix(" ").replace("\0", "\n")
    return found


@given(fields)
def test_control_fields_are_read_as_they_are_written(written: dict[str, str]) -> None:
    text = "".join(
        f"{name}: {value}".replace("\n", "\n ") + "\n" for name, value in written.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        deb = Path(folder, "x.deb")
        deb.write_bytes(package(text, {}))
        assert control(deb) == written


@given(fields, st.integers(0, 10**9), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_an_index_says_what_the_package_says(
    written: dict[str, str], size: int, sha256: str
) -> None:
    read = deb822(stanza(written, "pool/x.deb", size, sha256))
    ours = {"Filename": "pool/x.deb", "Size": str(size), "SHA256": sha256}
    assert read == {"Description": "", **written, **ours}


@given(st.integers(0), st.integers(1, 255), st.booleans())
def test_a_damaged_package_is_told(at: int, flip: int, cut: bool) -> None:
    data = bytearray(package("Package: x\nVersion: 1\n", {"./a/b": b"content", "./c": b"x" * 600}))
    at %= len(data)
    data[at] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        deb = Path(folder, "x.deb")
        deb.write_bytes(data[:at] if cut else data)
        for read in (control, lambda path: extract(path, Path(folder, "root"))):
            with contextlib.suppress(Failure):
                read(deb)
        assert {path.name for path in Path(folder).iterdir()} <= {"x.deb", "root"}


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_a_control_file_of_any_text_is_read_or_told(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        deb = Path(folder, "x.deb")
        deb.write_bytes(package(text, {}))
        with contextlib.suppress(Failure):
            assert all(isinstance(value, str) for value in control(deb).values())


tags = st.one_of(
    st.builds(
        lambda number, kind, values: rpm_sign.Tag(
            number,
            kind,
            len(values),
            b"".join(v.to_bytes({3: 2, 4: 4, 5: 8}[kind], "big") for v in values),
        ),
        st.integers(1000, 6000),
        st.sampled_from([3, 4, 5]),
        st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=4),
    ),
    st.builds(
        lambda number, kind, texts: rpm_sign.Tag(
            number, kind, len(texts), b"".join(text + b"\0" for text in texts)
        ),
        st.integers(1000, 6000),
        st.sampled_from([6, 8, 9]),
        st.lists(
            st.binary(max_size=9).filter(lambda text: b"\0" not in text), min_size=1, max_size=3
        ),
    ),
    st.builds(
        lambda number, data: rpm_sign.Tag(number, 7, len(data), data),
        st.integers(1000, 6000),
        st.binary(min_size=1, max_size=40),
    ),
)


@given(st.lists(tags, max_size=8, unique_by=lambda tag: tag.number))
def test_an_rpm_header_is_read_as_it_was_written(written: list[rpm_sign.Tag]) -> None:
    header = rpm_sign.header_of(written)
    assert rpm_sign.tags(header, Path("x")) == tuple(sorted(written, key=lambda tag: tag.number))
