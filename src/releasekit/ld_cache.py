"""/etc/ld.so.cache of an image: where the dynamic loader finds libraries, as ldconfig would write it.

Format: glibc's sysdeps/generic/dl-cache.h, "glibc-ld.so.cache1.1": a header, a row a library in falling
order of their names, and the texts that rows point to. Programs find libraries by it that ask ldconfig.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import cmp_to_key

_HEADER = struct.Struct("<17s3sIIB3xI12x")
_ROW = struct.Struct("<iIIIQ")
_LITTLE_ENDIAN = 2
_ELF_LIBC6_X86_64 = 0x0303


def ld_cache(libraries: Mapping[str, str]) -> bytes:
    """The file for {name that programs ask for: path}."""
    names = sorted(libraries, key=cmp_to_key(_order), reverse=True)
    start = _HEADER.size + len(names) * _ROW.size
    texts = bytearray()
    rows = []
    for name in names:
        key = start + len(texts)
        texts += name.encode() + b"\0"
        rows.append(_ROW.pack(_ELF_LIBC6_X86_64, key, start + len(texts), 0, 0))
        texts += libraries[name].encode() + b"\0"
    head = _HEADER.pack(b"glibc-ld.so.cache", b"1.1", len(names), len(texts), _LITTLE_ENDIAN, 0)
    return head + b"".join(rows) + bytes(texts)


def _order(a: str, b: str) -> int:
    """The loader's order: numbers by their value, and after all other characters."""
    left, right = (re.findall(r"\d+|\D", name) for name in (a, b))
    for one, other in zip(left, right):
        if one.isdigit() and other.isdigit():
            if int(one) != int(other):
                return int(one) - int(other)
        elif one.isdigit() != other.isdigit():
            return 1 if one.isdigit() else -1
        elif one != other:
            return ord(one) - ord(other)
    return len(left) - len(right)
