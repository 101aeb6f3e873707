"""Network devices by rtnetlink(7), for `backendai_serve.links`: messages that the kernel acknowledges."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Self

Attribute = tuple[int, bytes | list["Attribute"]]  # number, and what it holds; a list: it is nested

NEW_LINK, NEW_ADDRESS, NEW_NEIGHBOUR = 16, 20, 28
CREATE, EXCLUSIVE, APPEND = 0x400, 0x200, 0x800  # flags of a message
_REQUEST, _ACKNOWLEDGE = 0x1, 0x4
_ERROR = 2
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ENOUGH = 65536  # bytes of an answer
_PATIENCE = 20  # seconds

UP = 0x1
# Attributes of devices, and of what they are.
LINK_ADDRESS, LINK_NAME, LINK_MTU, LINK_MASTER, LINK_INFO, LINK_NETNS = 1, 3, 4, 10, 18, 28
INFO_KIND, INFO_DATA = 1, 2
VXLAN_ID, VXLAN_LOCAL4, VXLAN_LEARNING, VXLAN_PORT, VXLAN_LOCAL6 = 1, 4, 7, 15, 17
# Attributes of addresses and of neighbours.
ADDRESS, ADDRESS_LOCAL = 1, 2
NEIGHBOUR_TO, NEIGHBOUR_MAC, NEIGHBOUR_PORT, NEIGHBOUR_VNI = 1, 2, 6, 7
_BRIDGE = 7  # the family of neighbours that say where a device sends a frame
_SELF, _PERMANENT = 0x02, 0x80


class Kernel:
    """A conversation with the kernel about the network namespace that it was begun in."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(_PATIENCE)
        self._sequence = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def link(self, attributes: Iterable[Attribute], *, index: int = 0, up: bool = False) -> None:
        """Make a device, or change that of an index. OSError: the kernel's word."""
        flags = 0 if index else CREATE | EXCLUSIVE
        header = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, UP * up, UP * up)
        self._tell(NEW_LINK, flags, header, attributes)

    def address(self, index: int, address: bytes, prefix: int) -> None:
        """Give a device an IPv4 address of its own. OSError: the kernel's word."""
        header = struct.pack("=BBBBi", socket.AF_INET, prefix, 0, 0, index)
        given: list[Attribute] = [(ADDRESS_LOCAL, address), (ADDRESS, address)]
        self._tell(NEW_ADDRESS, CREATE | EXCLUSIVE, header, given)

    def way(self, index: int, mac: bytes, node: bytes, vni: int) -> None:
        """Have a VXLAN device send frames for an address, all zero: for all, to a node, by a number there."""
        header = struct.pack("=BxxxiHBB", _BRIDGE, index, _PERMANENT, _SELF, 0)
        given: list[Attribute] = [
            (NEIGHBOUR_MAC, mac),
            (NEIGHBOUR_TO, node),
            (NEIGHBOUR_VNI, struct.pack("=I", vni)),
        ]
        self._tell(NEW_NEIGHBOUR, CREATE | APPEND, header, given)

    def _tell(self, kind: int, flags: int, header: bytes, attributes: Iterable[Attribute]) -> None:
        self._sequence += 1
        body = header + packed(attributes)
        flags |= _REQUEST | _ACKNOWLEDGE
        size = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(size, kind, flags, self._sequence, 0) + body)
        while True:
            answer = self._socket.recv(_ENOUGH)
            _, kind_, _, sequence, _ = _HEADER.unpack_from(answer)
            if kind_ == _ERROR and sequence == self._sequence:
                break
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        if code:
            raise OSError(-code, os.strerror(-code))


def packed(attributes: Iterable[Attribute]) -> bytes:
    """Attributes as the kernel reads them: length, number, content, filled up to four bytes."""
    made = bytearray()
    for number, content in attributes:
        if isinstance(content, list):
            number, content = number | _NESTED, packed(content)
        made += struct.pack("=HH", 4 + len(content), number) + content
        made += bytes(-len(made) % 4)
    return bytes(made)


def text(value: str) -> bytes:
    """A string as an attribute."""
    return value.encode("ascii") + b"\0"


def unknown(error: OSError) -> bool:
    """Whether the kernel has no such kind of device."""
    return error.errno in (errno.EOPNOTSUPP, errno.ENODEV)
