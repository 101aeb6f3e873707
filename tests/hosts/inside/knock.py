"""Doors to knock at: who gets in, and as whom. Runs in network namespaces of a host.

knock.py listen ADDRESS:PORT...   accept for ever; tell each caller the address he comes from
knock.py knock ADDRESS:PORT...    say as JSON what was told at each; "" where nobody opened in time
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 1.5  # seconds


def main(what: str, doors: list[str]) -> None:
    places = [(a.strip("[]"), int(p)) for a, _, p in (door.rpartition(":") for door in doors)]
    if what == "knock":
        with ThreadPoolExecutor(len(places)) as at_once:
            print(json.dumps(dict(zip(doors, at_once.map(knock, places), strict=True))))
        return
    servers = [socket.create_server(place, family=family(place)) for place in places]
    for server in servers[1:]:
        threading.Thread(target=answer, args=(server,)).start()
    print("listening", flush=True)
    answer(servers[0])


def answer(server: socket.socket) -> None:
    while True:
        caller, (address, *_) = server.accept()
        with caller:
            caller.sendall(address.encode())


def knock(place: tuple[str, int]) -> str:
    try:
        with socket.create_connection(place, timeout=PATIENCE) as door:
            return door.recv(100).decode()
    except OSError:
        return ""


def family(place: tuple[str, int]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in place[0] else socket.AF_INET


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
