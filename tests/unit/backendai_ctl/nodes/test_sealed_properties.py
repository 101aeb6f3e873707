"""A sealed file gives back what was sealed, or nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai_ctl.errors import BadRequest
from backendai_ctl.nodes import sealed

PASSPHRASE = "correct horse battery"
TEXT = ""  # see `cheap`
contents = st.binary(max_size=200)
passphrases = st.text(st.characters(codec="utf-8"), max_size=30)
headers = st.dictionaries(
    st.sampled_from(["node", "site", "ü"]), st.text(max_size=9) | st.integers()
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module", autouse=True)
def cheap() -> Iterator[None]:
    """A key in no time: what it costs to guess is no part of these promises."""
    global TEXT
    patch = pytest.MonkeyPatch()
    patch.setattr(sealed, "COST", {"n": 2, "r": 1, "p": 1})
    TEXT = sealed.seal(b"content", PASSPHRASE, {"node": "gpu1"})
    yield
    patch.undo()


@given(contents, passphrases, headers)
def test_it_opens_to_what_was_sealed(
    content: bytes, passphrase: str, header: dict[str, object]
) -> None:
    text = sealed.seal(content, passphrase, header)
    opened = sealed.unseal(text, passphrase)
    assert opened.content == content
    assert header.items() <= opened.header.items() and sealed.header(text) == opened.header
    assert text.isascii() and len(text.splitlines()) == 3
    assert len(content) < 6 or base64.b64encode(content).decode() not in text


@given(passphrases)
def test_no_other_passphrase_opens_it(passphrase: str) -> None:
    if passphrase != PASSPHRASE:
        with pytest.raises(BadRequest, match="passphrase"):
            sealed.unseal(TEXT, passphrase)


@given(st.integers(0, 400), st.characters(codec="utf-8"))
def test_a_changed_character_is_noticed(at: int, character: str) -> None:
    at %= len(TEXT) - 1  # the last one ends the line
    changed = TEXT[:at] + character + TEXT[at + 1 :]
    if changed != TEXT:
        with pytest.raises(BadRequest):
            sealed.unseal(changed, PASSPHRASE)


@given(st.integers(0, 400))
def test_what_is_cut_off_is_noticed(end: int) -> None:
    if end < len(TEXT) - 1:
        with pytest.raises(BadRequest):
            sealed.unseal(TEXT[:end], PASSPHRASE)


@given(st.text(), anything, anything)
def test_what_is_no_sealed_file_is_refused(text: str, kdf: object, nonce: object) -> None:
    first, line, content = TEXT.splitlines()
    header = json.dumps({**json.loads(line), "kdf": kdf, "nonce": nonce})
    for other in (text, f"{first}\n{text}\n{content}\n", f"{first}\n{header}\n{content}\n"):
        with pytest.raises(BadRequest):
            sealed.unseal(other, PASSPHRASE)


costs = st.sampled_from([float("inf"), float("nan"), 0, -1, 3, 2**21, 2**70, "x", True, "", None])


@given(st.sampled_from(["n", "r", "p", "salt"]), costs | anything)
def test_a_header_asks_for_what_it_may(name: str, value: object) -> None:
    first, line, content = TEXT.splitlines()
    header = json.loads(line)
    header["kdf"][name] = value
    with pytest.raises(BadRequest):
        sealed.unseal(f"{first}\n{json.dumps(header)}\n{content}\n", PASSPHRASE)


@given(st.integers(1000, 200_000))
def test_depth_is_refused_as_well(depth: int) -> None:
    first, _, content = TEXT.splitlines()
    with pytest.raises(BadRequest):
        sealed.unseal(f"{first}\n{'[' * depth}\n{content}\n", PASSPHRASE)
