"""Find what of a new file is in an old one: copies, near copies, and the rest.

Content-defined chunks (their borders depend on the bytes around, so they survive insertions) find the
copies; a gap beside a copy whose bytes are mostly those at the same distance is a near copy, such as a
header with another time stamp, and travels as the XOR of both, which is mostly zeros.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from typing import NamedTuple, Union

Bytes = Union[bytes, mmap.mmap]

# A border after two bytes that occur together once in 512: the search runs at the speed of `re`.
_BORDER = re.compile(rb"(?s)[\x00-\x0f\x60-\x6f][\x30-\x33\xc0-\xc3]")
_SHORTEST, _LONGEST = 160, 4096  # bytes of a chunk
_STEP = 4096  # bytes compared at once when a copy is made longer
_NEAR = 1 << 20  # bytes; a longer gap is not taken for a near copy
COPY, NEAR, NEW = 0, 1, 2


class Run(NamedTuple):
    """`size` bytes of the new file from `at` on: how, and where in the old file they come from."""

    how: int
    at: int
    size: int
    old: int


def chunks(data: Bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the chunks, in order, without a gap."""
    start, size = 0, len(data)
    while start < size:
        limit = min(start + _LONGEST, size)
        match = _BORDER.search(data, start + _SHORTEST, limit)
        end = match.end() if match else limit
        yield start, end
        start = end


def runs(old: Bytes, new: Bytes) -> Iterator[Run]:
    """The new file as runs, in order, without a gap."""
    at = was = 0  # ends of the last copy, in the new and in the old file
    for copy in _copies(old, new):
        yield from _gap(old, new, at, copy.at, was, copy.old)
        yield copy
        at, was = copy.at + copy.size, copy.old + copy.size
    yield from _gap(old, new, at, len(new), was, len(old))


def _copies(old: Bytes, new: Bytes) -> Iterator[Run]:
    known: dict[int, int] = {}
    for start, end in chunks(old):
        known.setdefault(hash(old[start:end]), start)
    done = was = 0  # up to here the new file is in copies; where the old one is by then
    for start, end in chunks(new):
        if end <= done:
            continue
        chunk = new[start:end]
        # Where the old file goes on at the same distance, or anywhere.
        found = was + start - done if start >= done else len(old)
        if old[found : found + len(chunk)] != chunk:
            place = known.get(hash(chunk))
            if place is None or old[place : place + len(chunk)] != chunk:
                continue
            found = place
        if start < done:  # its beginning is in the last copy already
            start, found = done, found + done - start
        start, found = _backward(old, new, start, found, done)
        size = _forward(old, new, end, found + end - start) - start
        yield Run(COPY, start, size, found)
        done, was = start + size, found + size


def _forward(old: Bytes, new: Bytes, at: int, was: int) -> int:
    """How far the new file goes on like the old one."""
    limit = min(len(new), at + len(old) - was)
    while at < limit:
        step = min(_STEP, limit - at)
        one, two = new[at : at + step], old[was : was + step]
        if one != two:
            return at + _equal(one, two)
        at, was = at + step, was + step
    return at


def _backward(old: Bytes, new: Bytes, at: int, was: int, least: int) -> tuple[int, int]:
    while at > least and was > 0:
        step = min(_STEP, at - least, was)
        one, two = new[at - step : at], old[was - step : was]
        if one != two:
            same = _equal(one[::-1], two[::-1])
            return at - same, was - same
        at, was = at - step, was - step
    return at, was


def _equal(one: bytes, two: bytes) -> int:
    """Length of the common beginning of two different texts of one length."""
    differ = int.from_bytes(one, "big") ^ int.from_bytes(two, "big")
    return len(one) - (differ.bit_length() + 7) // 8


def _gap(old: Bytes, new: Bytes, at: int, end: int, was: int, old_end: int) -> Iterator[Run]:
    size = end - at
    if not size:
        return
    # At the distance of the copy before, or of the one after.
    for place in (was, old_end - size) if size <= _NEAR else ():
        before = old[max(place, 0) : place + size]
        if len(before) == size and 2 * xor(before, new[at:end]).count(0) > size:
            yield Run(NEAR, at, size, place)
            return
    yield Run(NEW, at, size, 0)


def xor(one: bytes, two: bytes) -> bytes:
    """Byte by byte; both have one length."""
    value = int.from_bytes(one, "little") ^ int.from_bytes(two, "little")
    return value.to_bytes(len(one), "little")
