"""A sealed file gives nothing away and takes no change."""

from __future__ import annotations

import base64
import json

import pytest

from backendai_ctl.errors import BadRequest
from backendai_ctl.nodes import sealed


@pytest.fixture(scope="module")
def text() -> str:
    return sealed.seal(b"secret content", "correct horse", {"node": "gpu1"})


def test_it_opens_with_its_passphrase(text: str) -> None:
    assert sealed.header(text)["node"] == "gpu1"
    opened = sealed.unseal(text, "correct horse")
    assert opened.content == b"secret content" and opened.header["node"] == "gpu1"
    assert "secret" not in text and "horse" not in text


def test_every_file_is_sealed_anew(text: str) -> None:
    assert sealed.seal(b"secret content", "correct horse", {"node": "gpu1"}) != text


def test_another_passphrase_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="the passphrase is not this file's"):
        sealed.unseal(text, "correct horse ")


@pytest.mark.parametrize("line", [1, 2])
def test_any_change_is_refused(text: str, line: int) -> None:
    lines = text.splitlines()
    if line == 1:
        lines[1] = lines[1].replace("gpu1", "gpu2")
    else:
        data = bytearray(base64.b64decode(lines[2]))
        data[0] ^= 1
        lines[2] = base64.b64encode(data).decode()
    with pytest.raises(BadRequest, match="or the file was changed"):
        sealed.unseal("\n".join(lines), "correct horse")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda t: "", "something else"),
        (lambda t: "[site]\n", "something else"),
        (lambda t: t.replace("node 1", "node 2", 1), "another version"),
        (lambda t: "\n".join(t.splitlines()[:2]), "cut off"),
        (lambda t: t[:-6] + "\n", "damaged|changed"),
        (lambda t: t.replace("{", "[", 1), "damaged"),
    ],
)
def test_what_is_no_such_file_is_named(text: str, damage, why: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadRequest, match=why):
        sealed.unseal(damage(text), "correct horse")


def test_a_file_cannot_ask_for_all_memory(text: str) -> None:
    lines = text.splitlines()
    found = json.loads(lines[1])
    found["kdf"]["n"] = 1 << 40
    lines[1] = json.dumps(found)
    with pytest.raises(BadRequest, match="header is damaged"):
        sealed.unseal("\n".join(lines), "correct horse")


def test_passphrases_are_long_and_different() -> None:
    made = {sealed.new_passphrase() for _ in range(50)}
    assert len(made) == 50 and all(len(p.replace("-", "")) == 26 for p in made)
