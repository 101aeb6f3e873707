"""Zstandard (RFC 8878) by the libzstd that this CPython was assembled with.

CPython's own module comes with 3.14. One thread, so that the bytes depend on the level, the window and
the version of libzstd alone, which packaging/locks/debian.lock names. API: zstd.h of libzstd 1.5.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from releasekit.errors import Failure

LIBRARY = "libzstd.so.1"
_LEVEL, _WINDOW_LOG, _LONG_DISTANCE, _CHECKSUM = 100, 101, 160, 201  # ZSTD_cParameter
_CONTINUE, _END = 0, 2  # ZSTD_EndDirective


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer are alike."""

    _fields_ = (("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t))


@cache
def _library() -> Any:
    try:
        made = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise Failure(
            f"this Python finds no {LIBRARY}: {error}",
            hint="builds run on the CPython that ./pants assembles, which has it",
        ) from None
    made.ZSTD_createCCtx.restype = ctypes.c_void_p
    made.ZSTD_getErrorName.restype = ctypes.c_char_p
    for name in (
        "CCtx_setParameter",
        "CCtx_setPledgedSrcSize",
        "compressStream2",
        "CStreamOutSize",
    ):
        getattr(made, f"ZSTD_{name}").restype = ctypes.c_size_t
    return made


def _checked(code: int) -> int:
    if _library().ZSTD_isError(ctypes.c_size_t(code)):
        name = _library().ZSTD_getErrorName(ctypes.c_size_t(code)).decode()
        raise Failure(f"{LIBRARY}: {name}")
    return code


def compressed(blocks: Iterable[bytes], *, size: int, level: int, window: int) -> Iterator[bytes]:
    """One frame with the `size` bytes of all blocks. `window`: log2 of how far back it looks, in bytes.

    Decompressors take windows up to 27 unasked. Raises Failure, also where the blocks are not `size` long.
    """
    library = _library()
    context = ctypes.c_void_p(library.ZSTD_createCCtx())
    try:
        for key, value in {
            _LEVEL: level,
            _WINDOW_LOG: window,
            _LONG_DISTANCE: 1,
            _CHECKSUM: 1,
        }.items():
            _checked(library.ZSTD_CCtx_setParameter(context, key, value))
        _checked(library.ZSTD_CCtx_setPledgedSrcSize(context, ctypes.c_ulonglong(size)))
        for block in blocks:
            yield from _written(context, block, _CONTINUE)
        yield from _written(context, b"", _END)
    finally:
        library.ZSTD_freeCCtx(context)


def _written(context: ctypes.c_void_p, block: bytes, directive: int) -> Iterator[bytes]:
    library = _library()
    buffer = ctypes.create_string_buffer(library.ZSTD_CStreamOutSize())
    held = ctypes.create_string_buffer(block, len(block)) if block else None
    given = _Buffer(ctypes.cast(held, ctypes.c_void_p) if held else None, len(block), 0)
    left = 1
    while given.position < given.size or (directive == _END and left):
        out = _Buffer(ctypes.cast(buffer, ctypes.c_void_p), len(buffer), 0)
        left = _checked(
            library.ZSTD_compressStream2(context, ctypes.byref(out), ctypes.byref(given), directive)
        )
        yield buffer.raw[: out.position]
