"""`python -I -m backendai_serve [--health URL] -- PROGRAM [ARGUMENT...]`: run a server under systemd.

Servers of Backend.AI do not speak systemd's notification protocol. This process, the main one of its
unit, does it for the server, its child; see `backendai_serve.supervisor`. A Python script runs in this
interpreter, with `backendai_serve.patches` in place; any other program is executed.
"""

from __future__ import annotations

import os
import runpy
import sys

from backendai_serve import patches, supervisor

USAGE = "usage: python -I -m backendai_serve [--health URL] -- PROGRAM [ARGUMENT...]"


def parse(argv: list[str]) -> tuple[str, list[str]]:
    """The health URL ("" if there is none) and the command; SystemExit if there is no command."""
    url, rest = "", list(argv)
    if rest[:1] == ["--health"] and len(rest) > 1:
        url, rest = rest[1], rest[2:]
    if rest[:1] != ["--"] or len(rest) < 2:
        print(USAGE, file=sys.stderr)
        raise SystemExit(2)
    # The site file may have moved the port: the unit's drop-in says so.
    return os.environ.pop("BACKENDAI_HEALTH", "") or url, rest[1:]


def is_python(program: str) -> bool:
    """Whether the program is a script for Python, by its first line."""
    with open(program, "rb") as stream:
        line = stream.readline(256)
    return line.startswith(b"#!") and b"python" in line


def serve(command: list[str]) -> None:
    """Become the server."""
    if not is_python(command[0]):
        os.execv(command[0], command)
    patches.install()
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")


def main() -> None:
    url, command = parse(sys.argv[1:])
    server = supervisor.fork()
    if server:
        sys.exit(supervisor.supervise(server, url))
    serve(command)


if __name__ == "__main__":
    main()
