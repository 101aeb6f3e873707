"""The loader's cache is read back by the ldconfig of this machine, and ordered as it orders its own."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from functools import cmp_to_key
from pathlib import Path

import pytest

from releasekit.ld_cache import ld_cache

LDCONFIG = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin") or ""
ROW = re.compile(r"\t(\S+) \(([^)]*)\) => (\S+)")
HEADER, ENTRY = 48, 24  # bytes, glibc's sysdeps/generic/dl-cache.h


def printed(*words: str) -> list[tuple[str, str, str]]:
    """Name, kind and path of each library of a cache, in its order."""
    if not LDCONFIG:
        pytest.skip("this machine has no ldconfig")
    done = subprocess.run([LDCONFIG, "-p", *words], capture_output=True, text=True, check=True)
    found = [match.groups() for match in map(ROW.fullmatch, done.stdout.splitlines()) if match]
    return [(name, kind, path) for name, kind, path in found]


NAMES = [
    "ld-linux-x86-64.so.2",
    "libBrokenLocale.so.1",
    "libc.so.6",
    "libc++.so.1",
    "libcrypt.so.1",
    "libnss_dns.so.2",
    "libx.so",
    "libx.so.2",
    "libx.so.9",
    "libx.so.10",
    "libx.so.10.1",
    "libx-1.so",
    "libx2.so",
    "libx10.so",
    "libz.so.1",
]


def test_ldconfig_reads_every_library_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "ld.so.cache"
    path.write_bytes(ld_cache({name: f"/usr/lib/{name}.real" for name in NAMES}))
    found = printed("-C", str(path))
    assert {name: path for name, _, path in found} == {
        name: f"/usr/lib/{name}.real" for name in NAMES
    }
    assert {kind for _, kind, _ in found} == {"libc6,x86-64"}


def test_the_order_is_that_of_ldconfig_itself() -> None:
    """By the cache of this machine: where one name is there twice, hardware decides."""
    names = [name for name, kind, _ in printed() if kind == "libc6,x86-64"]
    if len(names) < 10:
        pytest.skip("the loader's cache of this machine has too few libraries")
    once = list(dict.fromkeys(names))
    assert listed(ld_cache({name: f"/{name}" for name in reversed(once)})) == once


def test_numbers_count_by_their_value_and_come_after_all_other_characters() -> None:
    names = listed(ld_cache({name: "/x" for name in sorted(NAMES)}))
    assert names == sorted(NAMES, key=cmp_to_key(compared), reverse=True)
    versions = ["libx.so.10.1", "libx.so.10", "libx.so.9", "libx.so.2", "libx.so"]
    assert [name for name in names if name.startswith("libx.so")] == versions
    assert names.index("libx10.so") < names.index("libx2.so") < names.index("libx.so.10.1")


@pytest.mark.parametrize("name", [*NAMES, "libabsent.so.1", "libx.so.11", "a", "libz.so.2"])
def test_the_loader_finds_a_library_by_halves(name: str) -> None:
    """Its search takes the lower half where the name in the middle is less (elf/dl-cache.c)."""
    names = listed(ld_cache({name: f"/lib/{name}" for name in NAMES}))
    left, right, found = 0, len(names) - 1, False
    while left <= right and not found:
        middle = (left + right) // 2
        order = compared(name, names[middle])
        found = order == 0
        left, right = (middle + 1, right) if order < 0 else (left, middle - 1)
    assert found == (name in NAMES)


def test_the_same_libraries_give_the_same_bytes() -> None:
    known = {name: f"/lib/{name}" for name in NAMES}
    assert ld_cache(known) == ld_cache(dict(reversed(known.items())))
    assert ld_cache(known) != ld_cache({**known, "libz.so.1": "/other"})
    assert len(ld_cache({})) == HEADER


def listed(data: bytes) -> list[str]:
    """The names of a cache in its order, by offsets as the loader follows them."""
    magic, count, texts, flags = struct.unpack_from("<20sIIB", data)
    assert (magic, flags) == (b"glibc-ld.so.cache1.1", 2)
    assert HEADER + count * ENTRY + texts == len(data)
    rows = [struct.unpack_from("<iIIIQ", data, HEADER + row * ENTRY) for row in range(count)]
    return [data[key : data.index(b"\0", key)].decode() for _, key, _, _, _ in rows]


def compared(a: str, b: str) -> int:
    """glibc's _dl_cache_libcmp, character by character as it is written there."""
    left, right = a + "\0", b + "\0"
    i = j = 0
    while left[i] != "\0":
        if left[i].isdigit() and right[j].isdigit():
            values = []
            for text, at in ((left, i), (right, j)):
                end = at
                while text[end].isdigit():
                    end += 1
                values.append((int(text[at:end]), end))
            (one, i), (other, j) = values
            if one != other:
                return one - other
        elif left[i].isdigit():
            return 1
        elif right[j].isdigit():
            return -1
        elif left[i] != right[j]:
            return ord(left[i]) - ord(right[j])
        else:
            i, j = i + 1, j + 1
    return ord(left[i]) - ord(right[j])
