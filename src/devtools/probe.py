"""Prints as JSON what a process sees of its surroundings: `python3 probe.py CHECKOUT CACHE`.

Run in each variant of scripts/reproduce, so that its table shows what was seen, not what was meant.
"""

from __future__ import annotations

import getpass
import json
import locale
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

_BUILD_STYLE = "import time; print(time.strftime('%Y-%m-%d', time.gmtime()))"


def look(checkout: Path, cache: Path) -> dict[str, str]:
    """Every surrounding by its name in the table."""
    locale.setlocale(locale.LC_ALL, "")
    mask = os.umask(0)
    kernel = os.uname()
    names = [e.name for e in os.scandir(checkout / "src/releasekit") if e.name.endswith(".py")]
    return {
        "checkout path": str(checkout),
        "cache path": str(cache),
        "temporary files": os.environ.get("TMPDIR", ""),
        "clock": time.strftime("%Y-%m-%d", time.gmtime()),
        "clock in a sandbox": _sandbox_clock(cache),
        "host name": kernel.nodename,
        "domain": socket.getfqdn().partition(".")[2],
        "user": f"{getpass.getuser()} ({os.getuid()})",
        "home": os.path.expanduser("~"),
        "umask": f"{mask:04o}",
        "locale": str(locale.setlocale(locale.LC_ALL)),
        "time zone": time.strftime("%Z %z"),
        "cores": str(len(os.sched_getaffinity(0))),
        "file order": ", ".join(names[:3]),
        "PATH": os.environ.get("PATH", ""),
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", ""),
        "other variables": ", ".join(sorted(_other())) or "none",
        "kernel": kernel.release,
        "address layout": "fixed" if _fixed_addresses() else "random",
        "Python of Pants": _python39(cache),
    }


def _other() -> set[str]:
    known = "PATH HOME TMPDIR TZ LANG LANGUAGE LC_ALL LC_CTYPE PYTHONHASHSEED PWD OLDPWD SHLVL _"
    return {
        key
        for key in os.environ
        if key not in known.split() and not key.startswith(("BACKENDAI_", "PANTS_", "SSL_"))
    }


def _sandbox_clock(cache: Path) -> str:
    """As the programs see it that Pants runs: no environment, the assembled Python."""
    for python in (cache / "pythons").glob("3.13-*/bin/python3.13"):
        argv = [str(python), "-ISc", _BUILD_STYLE]
        done = subprocess.run(argv, env={}, capture_output=True, text=True, check=False)
        return done.stdout.strip()
    return "no Python"


def _python39(cache: Path) -> str:
    return "assembled" if list((cache / "pythons").glob("3.9-*")) else "the machine's own"


def _fixed_addresses() -> bool:
    # ADDR_NO_RANDOMIZE of personality(2)
    return bool(int(Path("/proc/self/personality").read_text(), 16) & 0x0040000)


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1]), Path(sys.argv[2])), indent=1))
