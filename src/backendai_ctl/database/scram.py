"""PostgreSQL's stored form of a password (SCRAM-SHA-256, RFC 5803), so that no password is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata

ITERATIONS = 4096  # PostgreSQL's default


def verifier(password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """What PostgreSQL keeps of a password; with a new salt each time unless one is given."""
    salt = secrets.token_bytes(16) if salt is None else salt
    plain = unicodedata.normalize("NFKC", password).encode()  # SASLprep, as far as it matters
    salted = hashlib.pbkdf2_hmac("sha256", plain, salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{words[0]}${words[1]}:{words[2]}"


def matches(stored: str, password: str) -> bool:
    """Whether `stored` was made from the password."""
    try:
        method, rest, _keys = stored.split("$")
        iterations, salt = rest.split(":")
        if method != "SCRAM-SHA-256":
            return False
        again = verifier(password, salt=base64.b64decode(salt), iterations=int(iterations))
    except ValueError:
        return False
    return hmac.compare_digest(stored, again)
