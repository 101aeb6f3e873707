"""With upstream's own msgpack and logger, as the lock has them."""

from __future__ import annotations

import ast
import json
import zipfile

import pytest
from upstream import Upstream, file, locked

HOSTILE = """
import logging, os, pickle, sys
logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stdout)
import msgpack as plain
from ai.backend.common import msgpack, types
from ai.backend.common.docker import ImageRef
from ai.backend.common.msgpack import DEFAULT_UNPACK_OPTS, ExtTypes

class Program:
    def __init__(self, *made):
        self.made = made
    def __reduce__(self):
        return self.made

def by_hand(*instructions):
    return b"\\x80\\x05" + b"".join(instructions) + b"."

def text(value):
    return b"\\x8c" + bytes([len(value)]) + value.encode()

SENT
kinds = (3, 6, 7, 8, 9, 16)
for kind in kinds:
    for data in sent:
        packed = plain.packb({"x": plain.ExtType(kind, data)})
        for options in ({}, {"ext_hook_mapping": msgpack.uuid_to_str}):
            try:
                msgpack.unpackb(packed, **options)
            except Exception as failure:
                assert type(failure).__name__ != "Refused" or isinstance(failure, ValueError)
            else:
                print("accepted", kind, data)
        try:  # as loggers do
            plain.unpackb(packed, **DEFAULT_UNPACK_OPTS)
        except Exception:
            pass
        else:
            print("accepted", kind, data)
if hasattr(types.SlotName, "taken"):
    print("accepted: a class was changed")
print("sent", len(kinds) * len(sent) * 3)
"""

PROGRAMS = """
of_class = text("ai.backend.common.types") + text("SlotName") + b"\\x93"
sent = [
    pickle.dumps(Program(print, ("it ran",))),
    pickle.dumps(Program(os.system, ("echo it ran",))),
    pickle.dumps(Program(eval, ("print('it ran')",))),
    pickle.dumps(Program(getattr, (types.SlotName, "__init__"))),
    pickle.dumps(Program(types.BinarySize, (1, 2))),
    pickle.dumps(Program(logging.getLogger, ("x",))),
    pickle.dumps(types.SlotName),  # the class itself
    by_hand(of_class, b"N}", text("taken"), b"\\x88s\\x86b"),
    by_hand(text("os"), text("system"), b"\\x93", text("echo it ran"), b"\\x85R"),
    by_hand(text("builtins"), text("eval"), b"\\x93", text("print('it ran')"), b"\\x85R"),
    by_hand(text("ai.backend.common.types"), text("os.system"), b"\\x93", text("echo it ran"), b"\\x85R"),
    by_hand(text("ai.backend.common.__main__"), text("X"), b"\\x93", text("x"), b"\\x85R"),
    by_hand(b"h\\x07"), by_hand(b"("), by_hand(b"t"), b"", b".", b"cos\\nsystem\\n(S'echo it ran'\\ntR.",
    pickle.dumps("no object of ours"),
    pickle.dumps([1]),
]
"""
NESTED = """
deep = 60_000
named = text("ai.backend.common.types") + text("SessionTypes") + b"\\x93"
slots = text("ai.backend.common.types") + text("ResourceSlot") + b"\\x93)\\x81N}" + text("data")
sent = [
    by_hand(b"})", b"\\x85" * deep, b"Ns"),  # a key
    by_hand(b"})", b"\\x85" * 300_000, b"Ns"),
    by_hand(named, b")", b"\\x85" * deep, b"R"),  # a value
    by_hand(named, b"}" * 20_000, text("k"), b"N", b"s", b"\\x85R"),
    by_hand(text("os"), text("system"), b"\\x93", b"}" + text("k"), b"}" + text("k"), b"Nss\\x85R"),
    by_hand(slots, b"}" + text("cpu"), b"}" + text("k") + b"Ns" b"s" b"s\\x86b"),
    by_hand(slots, b"}" + text("cpu"), b")s" b"s\\x86b"),
    by_hand(slots, b"}K\\x01Ns" b"s\\x86b"),
    b"\\x80\\x05" + b"N0" * 40_000 + b"N.",
]
"""

LEGITIMATE = """
import enum, json, sys, uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PosixPath, PurePosixPath
from ai.backend.common import msgpack, types
from ai.backend.common.docker import ImageRef
from ai.backend.common.types import *

def all_enums():
    import importlib
    for name in json.loads(sys.argv[1]) if len(sys.argv) > 1 else NAMES:
        module = importlib.import_module(name[0])
        found = module
        for word in name[1].split("."):
            found = getattr(found, word)
        yield from found

image = ImageRef("python", None, "3.9-ubuntu20.04-cuda11", "r.example", "amd64", True)
slots = ResourceSlot({"cpu": Decimal("1.5"), "mem": BinarySize(2**40), "cuda.shares": Decimal("Infinity")})
many = ResourceSlot({f"cuda.device-of-a-long-name:{i}": Decimal(i) for i in range(1000)})
large = msgpack.packb(many)
assert len(large) < 65536 * 0.9, len(large)
assert msgpack.unpackb(large) == many
given = [
    Decimal("-0.10"), Decimal("NaN"), BinarySize(0), BinarySize(-5), BinarySize(2**80),
    SlotName("cuda.device:mig"),
    ResourceSlot(), slots, image,
    ImageRef("a" * 300, "project", "latest", "cr.example:7080", "aarch64", False),
    uuid.uuid4(), datetime(2026, 11, 28, tzinfo=UTC), PosixPath("/a"), PurePosixPath("b"),
]
parsed = SlotName("a.b:c")
parsed.device_name
given.append(parsed)
deep = {"slots": [slots, {"image": image}], SlotName("cpu"): (1, "x", None)}
for one in given:
    back = msgpack.unpackb(msgpack.packb(one))
    assert type(back) is type(one), (one, back)
    assert str(back) == str(one), (one, back)
    if one == one and not isinstance(one, datetime):
        assert back == one, (one, back)
assert msgpack.unpackb(msgpack.packb(image)).tag_set == image.tag_set
assert msgpack.unpackb(msgpack.packb(parsed)).major_type == "b"
back = msgpack.unpackb(msgpack.packb(deep))
assert back["slots"][0] == slots and back["slots"][1]["image"] == image, back
count = 0
for member in all_enums():
    back = msgpack.unpackb(msgpack.packb(member))
    # Members that are text or numbers as well travel as such where msgpack knows their class.
    assert back is member or back == member.value, (member, back)
    count += 1
print(len(given), count)
"""

LOGGING = """
import os, pickle, sys, tempfile, threading, time
import msgpack as plain, zmq
from ai.backend.common.msgpack import DEFAULT_PACK_OPTS, DEFAULT_UNPACK_OPTS
from ai.backend.logging import logger
from ai.backend.logging.config import LoggingConfig

folder = tempfile.mkdtemp()
endpoint = f"ipc://{folder}/log.sock"
config = LoggingConfig.model_validate(
    {"drivers": ["console"], "level": "INFO", "console": {"colored": False, "format": "simple"}}
)
options = {"pack_opts": DEFAULT_PACK_OPTS, "unpack_opts": DEFAULT_UNPACK_OPTS}
ready = threading.Event()
thread = threading.Thread(
    target=logger.log_processor, args=(config, os.getpid(), endpoint, ready, options), daemon=True
)
thread.start()
ready.wait()
push = zmq.Context().socket(zmq.PUSH)
push.connect(endpoint)

class Program:
    def __reduce__(self):
        return print, ("it ran",)

record = {"name": "x", "msg": "the log goes on", "levelno": 30, "levelname": "WARNING"}
hostile = plain.packb(plain.ExtType(3, pickle.dumps(Program())))
for one in (hostile, b"\\xc1", plain.packb([1]), plain.packb({"a": 1}),
            plain.packb(record), plain.packb(None)):
    push.send(one)
thread.join(20)
print("ended" if not thread.is_alive() else "hangs")
"""


def enums() -> list[tuple[str, str]]:
    """(module, name) of the enumerations that services share."""
    found = []
    with zipfile.ZipFile(file(locked()["backend-ai-common"])) as wheel:
        for path in wheel.namelist():
            if not path.endswith(".py"):
                continue
            module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for node in ast.parse(wheel.read(path)).body:
                bases = (
                    [ast.unparse(b) for b in node.bases] if isinstance(node, ast.ClassDef) else []
                )
                if any(base.endswith(("Enum", "Flag")) for base in bases):
                    found.append((module, node.name))  # type: ignore[attr-defined]
    return found


def test_a_hostile_pickle_is_refused_and_logged(upstream: Upstream) -> None:
    refuses(upstream, PROGRAMS)


def test_what_is_nested_or_large_is_refused(upstream: Upstream) -> None:
    """Tuples in tuples end the process that hashes them, and so they do with upstream alone."""
    refuses(upstream, NESTED)
    with pytest.raises(AssertionError):
        upstream.run(HOSTILE.replace("SENT", NESTED), changed=False)


def refuses(upstream: Upstream, sent: str) -> None:
    said = upstream.run(HOSTILE.replace("SENT", sent)).splitlines()
    assert "it ran" not in said and not [line for line in said if line.startswith("accepted")]
    count = int(said[-1].removeprefix("sent "))
    refused = [line for line in said if line.startswith("backendai_serve.pickles: refused")]
    assert len(refused) == count > 150


def test_upstream_alone_would_run_it(upstream: Upstream) -> None:
    """What the other test shows is ours."""
    assert "it ran" in upstream.run(HOSTILE.replace("SENT", PROGRAMS), changed=False)


def test_every_object_that_services_send_arrives(upstream: Upstream) -> None:
    named = enums()
    assert len(named) > 100
    objects, members = upstream.run(f"NAMES = {json.dumps(named)}\n{LEGITIMATE}").split()
    assert int(objects) == 15 and int(members) > len(named)


@pytest.mark.parametrize("changed", [True, False])
def test_the_log_of_a_service_goes_on(upstream: Upstream, changed: bool) -> None:
    if not changed:
        with pytest.raises(AssertionError, match="did not go on"):
            assert "the log goes on" in upstream.run(LOGGING, changed=False), "did not go on"
        return
    said = upstream.run(LOGGING)
    assert "it ran" not in said and said.endswith("ended\n")


def test_nothing_else_unpickles_what_arrives() -> None:
    """Whatever unpickles in upstream's wheels is known: files of the agent's own, and msgpack's hooks."""
    found = set()
    for name, wheel in locked().items():
        if not name.startswith("backend-ai-") or name in ("backend-ai-install", "backend-ai-test"):
            continue
        with zipfile.ZipFile(file(wheel)) as unpacked:
            for path in unpacked.namelist():
                text = (
                    unpacked.read(path).decode("utf-8", "replace") if path.endswith(".py") else ""
                )
                if any(
                    word in text for word in ("pickle.load", "Unpickler", "recv_pyobj", "dill.load")
                ):
                    found.add(path)
    assert found == {
        "ai/backend/agent/agent.py",  # kconfig.dat, which the agent wrote, for a restart of a kernel
        "ai/backend/agent/kernel.py",  # a comment
        "ai/backend/agent/kernel_registry/loader/pickle.py",  # the agent's list of kernels
        "ai/backend/common/msgpack.py",
    }
