"""Serve the folders of a session to who opens it: the app proxy lets nobody else in.

serve.py PORT. The one folder that is mounted below /home/work is what visitors see at once; of several,
each has its name. Nothing else of the session is served: it would be gone with it.
"""

from __future__ import annotations

import os
import re
import sys

HOME = "/home/work"
STATE = "/tmp/filebrowser"
ESCAPED = re.compile(r"\\([0-7]{3})")
# r read, w write, m move, d delete, `.` see files whose name begins with a dot
RIGHTS = {"rw": "rwmd.", "ro": "r."}
OPTIONS = (
    *("-q", "-i", "0.0.0.0", "--http-only", "--no-crt", "--name", "Files", "-nih"),
    # The app proxy says who asks, by which address and over TLS: what a page may send is judged by that.
    *("--rproxy", "1", "--xff-src", "any"),
    # What lies in a folder does not act as the visitor.
    *("-s", "--no-html", "--no-readme", "--no-logues", "--no-dav"),
    # The folder gets no files but those of its user.
    *("--hist", STATE, "--no-ses", "--no-reload", "--no-stack"),
    # Whoever gets here may do all this, so there is nobody to shut out.
    *("--ban-pw", "no", "--ban-404", "no", "--ban-403", "no", "--ban-422", "no", "--ban-url", "no"),
)


def mounted(table: str) -> dict[str, str]:
    """{name below HOME: its rights} of folders in a /proc/self/mountinfo, but for hidden ones."""
    found = {}
    for line in table.splitlines():
        _, _, _, _, point, options, *_ = line.split()
        point = ESCAPED.sub(lambda code: chr(int(code[1], 8)), point)
        name = point.removeprefix(f"{HOME}/")
        if name != point and not name.startswith(".") and os.path.isdir(point):
            found[name] = RIGHTS[options.split(",")[0]]
    return found


def volumes(folders: dict[str, str]) -> list[str]:
    """What the file browser is told to serve."""
    if len(folders) == 1:
        return [f"{HOME}/{name}::{rights}" for name, rights in folders.items()]
    return [f"{HOME}/{name}:{name}:{rights}" for name, rights in folders.items()]


def main() -> None:
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        served = volumes(mounted(stream.read()))
    words = [word for volume in served for word in ("-v", volume)]
    if not words:  # it would serve the folder that it is started in
        sys.exit(f"no folder is mounted below {HOME}")
    call = [sys.executable, "-m", "copyparty", "-p", sys.argv[1], *OPTIONS, *words]
    os.execve(call[0], call, {**os.environ, "XDG_CONFIG_HOME": STATE})


if __name__ == "__main__":
    main()
