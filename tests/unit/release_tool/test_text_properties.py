"""RELEASE, MANIFEST and lists of volumes are read as they were written, or refused."""

from __future__ import annotations

import contextlib
import tempfile
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release_tool.layout import parse_manifest, parse_release
from release_tool.volumes import Listing, Volume, parse_size, read_list, split
from releasekit.errors import Failure

sums = st.text("0123456789abcdef", min_size=64, max_size=64)
parts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,8}", fullmatch=True)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
noise = st.text(max_size=90)


@given(st.dictionaries(paths, sums, min_size=1, max_size=5))
def test_a_manifest_is_read_as_it_was_written(entries: dict[str, str]) -> None:
    text = "".join(f"{sha256}  {path}\n" for path, sha256 in entries.items())
    assert parse_manifest(text, "x") == entries
    line = text.splitlines(keepends=True)[0]
    with pytest.raises(Failure):  # a path is there once
        parse_manifest(text + line, "x")


@given(sums, noise)
def test_a_manifest_names_no_path_outside(sha256: str, path: str) -> None:
    with contextlib.suppress(Failure):
        for found in parse_manifest(f"{sha256}  {path}\n", "x"):
            assert not found.startswith("/") and ".." not in found.split("/")


@given(noise, noise)
def test_other_texts_are_refused(text: str, more: str) -> None:
    for parse in (parse_manifest, parse_release):
        with contextlib.suppress(Failure):
            parse(text, "x")
    fields = [
        "format",
        "name",
        "version",
        "number",
        "date",
        "distribution",
        "architecture",
        "fingerprint",
    ]
    with contextlib.suppress(Failure):
        facts = parse_release(
            "".join(f"{key}={more}\n" for key in fields).replace("format=" + more, "format=1"), "x"
        )
        assert facts.number >= 0 and facts.folder and facts.title()


units = st.sampled_from(["", "K", "M", "G", "KiB", "MiB", "GiB", "MB"])


@given(st.integers(1, 10**15 - 1), st.integers(0, 999), units)
def test_a_size_is_a_number_and_its_unit(number: int, thousandths: int, unit: str) -> None:
    factor = (1024 if "i" in unit else 1000) ** " KMG".index(unit[:1] or " ")
    for text in (f"{number}{unit}", f" {number} {unit.lower()} "):
        assert parse_size(text) == number * factor
    fraction = Fraction(number % 100 + 1) + Fraction(thousandths, 1000)
    text = f"{number % 100 + 1}.{thousandths:03}{unit}"
    assert parse_size(text) == int(fraction * factor)


@given(noise)
def test_what_is_no_size_is_refused(text: str) -> None:
    for wrong in (text, "9" * 400, f"1.{'1' * 400}"):
        with contextlib.suppress(Failure):
            assert parse_size(wrong) >= 1


@given(st.binary(min_size=2, max_size=400), st.integers(1, 60))
def test_a_list_of_volumes_is_read_as_it_was_written(data: bytes, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bundle.tar")
        path.write_bytes(data)
        if size >= len(data):
            with pytest.raises(Failure):
                split(path, size, Path(folder))
            return
        made = split(path, size, Path(folder))
        assert read_list(Path(folder, "bundle.tar.volumes")) == made
        assert b"".join(Path(folder, v.name).read_bytes() for v in made.volumes) == data


@given(st.integers(0, 600), st.characters(codec="ascii"))
def test_a_damaged_list_is_refused_or_the_same(at: int, character: str) -> None:
    volumes = tuple(Volume(f"b.tar.{n:03}", 10 if n < 3 else 4, f"{n}" * 64) for n in (1, 2, 3))
    listing = Listing("b.tar", 24, "a" * 64, 10, volumes)
    text = listing.text()
    at %= len(text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "b.tar.volumes")
        path.write_text(text[:at] + character + text[at + 1 :])
        with contextlib.suppress(Failure):
            found = read_list(path)
            assert len(found.volumes) == -(-found.size // found.step)
            assert all("/" not in volume.name for volume in found.volumes)
