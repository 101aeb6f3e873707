"""A sealed file: encrypted with a passphrase, tamper-proof, safe to carry on a stick or by mail.

Three lines of text: what it is, a header in JSON that everybody may read, and the content: scrypt
makes the key of the passphrase, ChaCha20-Poly1305 encrypts and authenticates content and header.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from backendai_ctl.errors import BadRequest

FIRST_LINE = "backendai-node 1"
COST = {"n": 1 << 16, "r": 8, "p": 1}  # 64 MB of memory, a fifth of a second
_MOST = {"n": 1 << 20, "r": 16, "p": 4}  # what a file may ask of us
LARGEST = 4_000_000  # characters of a file
SHORTEST = 16  # characters of a passphrase
_NONCE = 12
_SALT = 16
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that look alike: 5 bits each


@dataclass(frozen=True)
class Opened:
    """What was in a sealed file."""

    header: dict[str, Any]
    content: bytes


def new_passphrase() -> str:
    """130 random bits as six groups of letters."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(26))
    return "-".join(letters[i : i + 5] for i in range(0, 26, 5))


def seal(content: bytes, passphrase: str, header: dict[str, Any]) -> str:
    """The file's text. `header` is authenticated, not encrypted."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    full = {**header, "kdf": {**COST, "salt": _text(salt)}, "nonce": _text(nonce)}
    line = json.dumps(full, sort_keys=True)
    key = Scrypt(salt=salt, length=32, **COST).derive(passphrase.encode())
    sealed = ChaCha20Poly1305(key).encrypt(nonce, content, line.encode())
    return f"{FIRST_LINE}\n{line}\n{_text(sealed)}\n"


def header(text: str) -> dict[str, Any]:
    """The header of a file, not yet known to be genuine. BadRequest if it is no such file."""
    return _parts(text)[0]


def node_of(text: str) -> str:
    """The node in the header: something that looks like one, as it is shown before it is proved."""
    found = header(text).get("node")
    if not isinstance(found, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", found):
        raise _no_file("its header is damaged")
    return found


def too_short(passphrase: str) -> bool:
    """Whether a passphrase could be guessed by who has the file and much time."""
    return len(passphrase) < SHORTEST


def unseal(text: str, passphrase: str) -> Opened:
    """Header and content. BadRequest if the passphrase is another, or anything was changed."""
    found, line, sealed = _parts(text)
    try:
        kdf = found["kdf"]
        cost = {name: int(kdf[name]) for name in COST}
        salt, nonce = base64.b64decode(kdf["salt"]), base64.b64decode(found["nonce"])
        if any(not 1 <= cost[name] <= most for name, most in _MOST.items()):
            raise ValueError("cost")
        key = Scrypt(salt=salt, length=32, **cost).derive(passphrase.encode())
        content = ChaCha20Poly1305(key).decrypt(nonce, sealed, line.encode())
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _no_file("its header is damaged") from error
    except InvalidTag as error:
        raise BadRequest(
            "the passphrase is not this file's, or the file was changed",
            hint="type the passphrase that `node export` printed, or export the node again",
        ) from error
    return Opened(found, content)


def _parts(text: str) -> tuple[dict[str, Any], str, bytes]:
    lines = text.splitlines()
    if len(text) > LARGEST or not lines or not lines[0].startswith("backendai-node "):
        raise _no_file("it is something else")
    if lines[0] != FIRST_LINE:
        raise _no_file(f"it is of another version: {lines[0][:40]!r}")
    if len(lines) != 3:
        raise _no_file("it is cut off")
    try:
        found = json.loads(lines[1])
        sealed = base64.b64decode(lines[2], validate=True)
    except (ValueError, RecursionError) as error:
        raise _no_file("it is damaged") from error
    if not isinstance(found, dict):
        raise _no_file("it is damaged")
    return found, lines[1], sealed


def _no_file(why: str) -> BadRequest:
    return BadRequest(
        f"no file of `backendai-ctl node export`: {why}",
        hint="on the management node: backendai-ctl node export NAME",
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
