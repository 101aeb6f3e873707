"""Which of the servers HOST:PORT, its arguments, take a connection? One a line. Runs in a container."""

from __future__ import annotations

import contextlib
import socket
import sys

TIMEOUT = 3  # seconds

for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, int(port)), timeout=TIMEOUT),
    ):
        print(place)
