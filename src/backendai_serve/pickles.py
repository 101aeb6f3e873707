"""Reads what services send each other without letting it run code.

Upstream's msgpack carries six kinds of objects as pickles and unpickles whatever arrives: on sockets
between services, on those of their loggers, and out of Valkey. A pickle is a program. Here its few
instructions that these objects need are read as data, and only the classes below are made; anything
else is refused and logged. Senders stay as they are, so a node of an earlier release is understood.
"""

from __future__ import annotations

import enum
import logging
import struct
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from backendai_serve.patches import part

LOG = logging.getLogger(__name__)
# Enumerations of these modules are imported when one arrives; of others, when they are there already.
SHARED, OURS = "ai.backend.common.", "ai.backend."
TYPES = "ai.backend.common.types"
DOCKER = "ai.backend.common.docker"
# Bytes; a set of a thousand resource slots, the largest thing, has half of it.
MOST = 65536
SHOWN = 300  # characters of a reason
FIELDS = ("name", "project", "tag", "registry", "architecture", "is_local")  # of an image reference


class Refused(ValueError):
    """Not a pickle of a listed class."""


class _Class:
    """A class that a pickle names: not the class itself, so that nothing can be done to it."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def is_(self, module: str, name: str) -> bool:
        return (self.module, self.name) == (module, name)

    def called(self, values: Any) -> Any:
        """What the class makes of one value."""
        if not isinstance(values, tuple) or len(values) != 1:
            raise Refused(f"{self.module}.{self.name} is not made of one value")
        value = values[0]
        if self.is_("decimal", "Decimal") and isinstance(value, str):
            return Decimal(value)
        if self.is_(TYPES, "BinarySize") and isinstance(value, int):
            return _loaded(TYPES, "BinarySize")(value)
        if self.is_(TYPES, "SlotName") and isinstance(value, str):
            return _loaded(TYPES, "SlotName")(value)
        return _member(self, value)


class _Made:
    """An object without its state yet."""

    def __init__(self, of: _Class) -> None:
        self.of = of

    def built(self, state: Any) -> Any:
        of = self.of
        common, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        if of.is_(TYPES, "ResourceSlot"):
            found = _loaded(TYPES, "ResourceSlot")()
            found.data.update(_flat({**(common or {}), **(slots or {})}["data"]))
            return found
        if of.is_(DOCKER, "ImageRef"):
            return _loaded(DOCKER, "ImageRef")(**_flat({name: common[name] for name in FIELDS}))
        return None  # a PlatformTagSet: image references make their own


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    """What holds nothing nested, which whoever shows or compares it would follow."""
    if any(isinstance(value, tuple | dict) for value in found.values()):
        raise Refused("an object holds something nested")
    return found


def _loaded(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def _member(of: _Class, value: Any) -> enum.Enum:
    """The member of an enumeration of Backend.AI."""
    module = sys.modules.get(of.module) if of.module.startswith(OURS) else None
    if module is None and of.module.startswith(SHARED) and not of.module.endswith("__main__"):
        module = import_module(of.module)
    found: Any = module
    for word in of.name.split("."):
        found = getattr(found, word, None)
    if not (
        isinstance(found, type)
        and issubclass(found, enum.Enum)
        and (found.__module__, found.__qualname__) == (of.module, of.name)
    ):
        raise Refused(f"{of.module}.{of.name} is not among the classes that may arrive")
    return found(value)


class _Reader:
    """The instructions that pickles of the listed classes hold, and no others."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: list[Any] = []
        self.marks: list[int] = []

    def read(self) -> Any:
        while True:
            instruction = self.take(1)
            if instruction == b".":
                if self.at != len(self.data) or len(self.stack) != 1:
                    raise Refused("it does not end with its object")
                return self.stack.pop()
            todo = _INSTRUCTIONS.get(instruction)
            if todo is None:
                raise Refused(f"instruction {instruction!r}")
            todo(self)

    def take(self, size: int) -> bytes:
        found = self.data[self.at : self.at + size]
        if len(found) != size:
            raise Refused("it is cut off")
        self.at += size
        return found

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def text(self, form: str) -> None:
        self.stack.append(self.take(self.number(form)).decode("utf-8", "surrogatepass"))

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def last(self, count: int) -> tuple[Any, ...]:
        """Take as many objects off the stack."""
        if count > len(self.stack):
            raise Refused("it takes what is not there")
        found = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return found

    def together(self, values: tuple[Any, ...]) -> None:
        """One of tuples is refused: Python hashes each level on the stack of the process, which ends."""
        if any(isinstance(value, tuple) for value in values):
            raise Refused("a tuple holds another")
        self.push(values)

    def marked(self) -> tuple[Any, ...]:
        return self.last(len(self.stack) - self.marks.pop())

    def put(self, pairs: tuple[Any, ...]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise Refused("it puts into what is no mapping")
        if not all(type(key) is str or type(key).__name__ == "SlotName" for key in pairs[::2]):
            raise Refused("a key is no text")
        self.stack[-1].update(zip(pairs[::2], pairs[1::2]))

    def name(self) -> None:
        module, name = self.last(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused("it names a class by something else")
        self.push(_Class(module, name))

    def call(self) -> None:
        of, values = self.last(2)
        if not isinstance(of, _Class):
            raise Refused("it calls what is no class")
        self.push(of.called(values))

    def new(self) -> None:
        of, values = self.last(2)
        stateful = isinstance(of, _Class) and (
            of.is_(TYPES, "ResourceSlot")
            or of.is_(DOCKER, "ImageRef")
            or of.is_(DOCKER, "PlatformTagSet")
        )
        if stateful and values == ():
            self.push(_Made(of))
        else:
            self.stack += [of, values]
            self.call()

    def build(self) -> None:
        made, state = self.last(2)
        if isinstance(made, _Made):
            made = made.built(state)
        elif type(made).__name__ != "SlotName":  # whose state follows from its text
            raise Refused("it changes an object")
        self.push(made)


_INSTRUCTIONS: dict[bytes, Callable[[_Reader], object]] = {
    b"\x80": lambda r: r.take(1),  # protocol
    b"\x95": lambda r: r.take(8),  # size of a frame
    b"\x8c": lambda r: r.text("B"),
    b"X": lambda r: r.text("I"),
    b"K": lambda r: r.push(r.number("B")),
    b"M": lambda r: r.push(r.number("H")),
    b"J": lambda r: r.push(r.number("i")),
    b"\x8a": lambda r: r.push(int.from_bytes(r.take(r.number("B")), "little", signed=True)),
    b"G": lambda r: r.push(struct.unpack(">d", r.take(8))[0]),
    b"N": lambda r: r.push(None),
    b"\x88": lambda r: r.push(True),
    b"\x89": lambda r: r.push(False),
    b"\x94": lambda r: r.memo.append(r.stack[-1]),
    b"h": lambda r: r.push(r.memo[r.number("B")]),
    b"j": lambda r: r.push(r.memo[r.number("I")]),
    b"(": lambda r: r.marks.append(len(r.stack)),
    b")": lambda r: r.push(()),
    b"\x85": lambda r: r.together(r.last(1)),
    b"\x86": lambda r: r.together(r.last(2)),
    b"\x87": lambda r: r.together(r.last(3)),
    b"t": lambda r: r.together(r.marked()),
    b"}": lambda r: r.push({}),
    b"s": lambda r: r.put(r.last(2)),
    b"u": lambda r: r.put(r.marked()),
    b"\x93": _Reader.name,
    b"R": _Reader.call,
    b"\x81": _Reader.new,
    b"b": _Reader.build,
}


def reader(kind: str, accepted: Callable[[], type]) -> Callable[[bytes], Any]:
    """A function from a pickle to its object, which is of one class. It raises Refused."""

    def read(data: bytes) -> Any:
        try:
            if len(data) > MOST:
                raise Refused(f"it has {len(data)} bytes, more than {MOST}")
            found = _Reader(data).read()
            if not isinstance(found, accepted()):
                raise Refused(f"{type(found).__name__} instead of {kind}")
        except Exception as failure:  # whatever strange bytes lead to
            # Failures of others may hold what arrived: it is not asked for its text.
            reason = (
                str(failure)[:SHOWN] if isinstance(failure, Refused) else type(failure).__name__
            )
            LOG.error("refused what was sent as %s: %s", kind, reason)
            raise Refused(reason) from None
        return found

    return read


READERS = {
    "DECIMAL": reader("Decimal", lambda: Decimal),
    "ENUM": reader("Enum", lambda: enum.Enum),
    "IMAGE_REF": reader("ImageRef", lambda: _loaded(DOCKER, "ImageRef")),
    "RESOURCE_SLOT": reader("ResourceSlot", lambda: _loaded(TYPES, "ResourceSlot")),
    "SLOT_NAME": reader("SlotName", lambda: _loaded(TYPES, "SlotName")),
    "BACKENDAI_BINARY_SIZE": reader("BinarySize", lambda: _loaded(TYPES, "BinarySize")),
}


def read_as_data(module: ModuleType) -> None:
    """No object that arrives by msgpack is unpickled."""
    hooks, kinds = part(module, "_DEFAULT_EXT_HOOK"), part(module, "ExtTypes")
    for name, read in READERS.items():
        hooks[part(kinds, name)] = read
    # It holds the functions from before.
    part(module, "DEFAULT_UNPACK_OPTS")["ext_hook"] = part(module, "_Deserializer")().ext_hook


def go_on(module: ModuleType) -> None:
    """A record that cannot be read, by whomever it was sent, does not end the log of a service."""
    unpack = part(part(module, "msgpack"), "unpackb")
    part(module, "log_processor")

    def unpackb(data: bytes, **options: Any) -> Any:
        try:
            found = unpack(data, **options)
            if found is None or (isinstance(found, dict) and isinstance(found.get("msg"), str)):
                return found
            reason = "it is no record"
        except Exception as failure:  # of the unpacker or of a reader
            reason = str(failure)
        text = f"refused what was sent to the log: {reason}"
        level = logging.ERROR
        return {"name": __name__, "msg": text, "levelno": level, "levelname": "ERROR"}

    module.msgpack = SimpleNamespace(unpackb=unpackb)  # type: ignore[attr-defined]


EXECUTED = {"ai.backend.common.msgpack": read_as_data, "ai.backend.logging.logger": go_on}
