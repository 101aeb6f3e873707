"""What servers and volumes refuse, in the words of an operator: what is wrong, where, and the hint."""

from __future__ import annotations

import os
import re
import socket

from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform import careful, names
from backendai_ctl.platform.together import together
from backendai_ctl.topology.places import Place

_DOWN = "see to the NFS server; the volume is mounted once it answers"


def key(place: Place, name: str) -> str:
    """A key of the volume in the site file."""
    return f"storage.volumes.{place.name}.{name}"


def unresolved(place: Place) -> None:
    """Pending if the server's name has no address: mount would only say that it failed."""
    server = place.volume.server or ""

    def look() -> str:
        try:
            return str(socket.getaddrinfo(server, 2049, type=socket.SOCK_STREAM)[0][4][0])
        except (OSError, UnicodeError) as error:
            return f"!{getattr(error, 'strerror', None) or error}"

    found = together(
        {"": look}, timeout=names.TIMEOUT, late=f"!no answer within {names.TIMEOUT:.0f} s"
    )[""]
    if found.startswith("!"):
        raise Pending(
            f"volume {place.name}: the server's name {server} does not resolve: {found[1:]}",
            hint=f"correct {key(place, 'server')}, or make the name known (DNS, /etc/hosts); "
            f"see: getent hosts {server}",
        )


def in_the_way(place: Place) -> None:
    """Problem for what lies where a volume is to be mounted; nothing may be mounted there."""
    path = place.path
    hint = f"move it away, or set another {key(place, 'path')}"
    try:
        with careful.folder(path) as at:
            there = os.listdir(at)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise Problem(f"volume {place.name}: {path} is not a directory", hint=hint) from None
    except OSError as error:
        raise Problem(f"volume {place.name}: {path}: {error.strerror}", hint=hint) from error
    if there:
        raise Problem(
            f"volume {place.name}: {path} has files of its own, which a mount would hide", hint=hint
        )


def of_mount(place: Place, said: str) -> Problem:
    """The error for what mount said. Pending for what passes when the server is back."""
    where = f"volume {place.name} ({place.source})"
    if re.search(r"No such file or directory|does not exist", said):
        return Problem(
            f"{where}: the server exports no {place.volume.export}",
            hint=f"correct {key(place, 'export')}; the server's own: exportfs -v",
        )
    if re.search(r"access denied|not permitted|Permission denied", said, re.IGNORECASE):
        return Problem(
            f"{where}: the server does not let this host mount it: {said}",
            hint=f"let it: name this host's address for {place.volume.export} in the server's "
            "exports",
        )
    if re.search(r"incorrect mount option|Protocol not supported|requested NFS version", said):
        return Problem(f"{where}: {said}", hint=f"correct {key(place, 'options')}")
    return Pending(f"{where}: {said}", hint=_DOWN)
