"""Which of CPython's own tests the runtime must pass, and which single tests cannot run.

Hosts have no network, no compiler, no X display and only the C.UTF-8 locale; tests that need
those skip themselves. The exclusions are for tests that fail for a reason outside the runtime.
"""

from __future__ import annotations

# Run on every suite: what the runtime's assembly could break (libraries, loader, paths).
EVERYWHERE = (
    "test_bz2",
    "test_ctypes",
    "test_dbm_sqlite3",
    "test_hashlib",
    "test_locale",
    "test_lzma",
    "test_pwd",
    "test_sqlite3",
    "test_ssl",
    "test_subprocess",
    "test_uuid",
    "test_zlib",
)

# Run on one suite: long, and alike everywhere once the above pass.
ONCE = (
    "test_asyncio",
    "test_codecs",
    "test_decimal",
    "test_importlib",
    "test_json",
    "test_multiprocessing_spawn",  # the C modules of the other ways are the same
    "test_os",
    "test_posix",
    "test_pyexpat",
    "test_readline",
    "test_signal",
    "test_site",
    "test_socket",
    "test_threading",
    "test_xml_etree_c",
    "test_zipimport",
)

# pattern of regrtest -> why. "test_x" alone would leave out a whole file: not done here.
EXCLUDED = {
    "test_find_library_with_gcc": "needs gcc",
    "test_find_library_with_ld": "needs ld",
    "test_executable_without_cwd": (
        "starts the interpreter under a name that is no path: CPython then looks for its library"
        " where it was configured (/usr), not where it is; no relocated CPython passes"
    ),
    "testWithTimeoutTriggeredSend": (
        "expects a socket's buffer to fill within 10 ms: depends on the kernel and the load"
    ),
    "test_underpth_nosite_file": "copies the interpreter away from its libraries",
}
