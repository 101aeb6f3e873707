"""Documents of a bundle that name digests of signed things: held against those of a build with other keys.

A signature changes an rpm, and with it whatever states the rpm's sha256. Where the thing itself is as
shipped but for the keys, its digest in the built document is replaced by the shipped one; then the
documents have to be equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from difflib import unified_diff

from release_tool.bundle import Bundle

_SHOWN = 20  # lines of a difference
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
# Derived from the rest of the document, the digests included.
_DERIVED = ("serialNumber", "invocationId")
_OF_THE_KEY = re.compile(r"^(key|fingerprint|unpacked)=")  # lines of RELEASE
KEYRING = "backendai-archive-keyring"
_SIZE = re.compile(r"^Size: \d+$", re.MULTILINE)
# In this order: a later one may name the digest of an earlier one.
_DOCUMENTS = (
    re.compile(r"RELEASE$"),
    re.compile(r"apt/dists/.*/Packages$"),
    re.compile(r"sbom/packages/.*\.json$"),
    re.compile(r"sbom/.*\.json$"),
    re.compile(r"provenance/.*\.json$"),
)


def differences(
    shipped: Bundle, built: Bundle, accepted: Collection[str], unsigned: Mapping[str, str]
) -> Iterator[tuple[str, list[str]]]:
    """Each document of the shipped bundle, and lines that show how it differs; none: it does not.

    `accepted`: file names of packages that are as shipped but for the keys. `unsigned`: sha256 as
    built -> as shipped of what differs by its keys and is in no bundle.
    """
    known = {**unsigned, **_translations(shipped, built, accepted)}
    paths = sorted(filter(is_document, {*shipped.manifest, *built.manifest}))
    for path in sorted(paths, key=_turn):
        if path not in shipped.manifest or path not in built.manifest:
            yield path, ["only shipped" if path in shipped.manifest else "only built"]
            continue
        lines = _compare(path, shipped.text(path), built.text(path), known)
        if not lines:
            known[built.manifest[path]] = shipped.manifest[path]
        yield path, lines


def is_document(path: str) -> bool:
    """Whether `differences` looks at it."""
    return _turn(path) < len(_DOCUMENTS)


def _turn(path: str) -> int:
    matching = (turn for turn, kind in enumerate(_DOCUMENTS) if kind.match(path))
    return next(matching, len(_DOCUMENTS))


def _translations(shipped: Bundle, built: Bundle, accepted: Collection[str]) -> dict[str, str]:
    """sha256 as built -> as shipped, of what may differ by its keys."""
    found = {}
    for path, digest in built.manifest.items():
        theirs = shipped.manifest.get(path)
        if theirs and (path.startswith("keys/") or path.rsplit("/", 1)[-1] in accepted):
            found[digest] = theirs
    return found


def _compare(path: str, shipped: str, built: str, known: Mapping[str, str]) -> list[str]:
    translated = _DIGEST.sub(lambda found: known.get(found[0], found[0]), built)
    one, two = _plain(path, shipped), _plain(path, translated)
    lines = unified_diff(one, two, "shipped", "built", n=0, lineterm="")
    return list(lines)[:_SHOWN]


def _plain(path: str, text: str) -> list[str]:
    """The lines of a document, without what follows from the keys alone."""
    if path.endswith(".json"):
        data = json.loads(text)
        return json.dumps(_without(data), indent=1, sort_keys=True).splitlines()
    if path.endswith("/Packages"):
        stanzas = text.split("\n\n")
        return "\n\n".join(
            _SIZE.sub("Size: -", one) if one.startswith(f"Package: {KEYRING}\n") else one
            for one in stanzas
        ).splitlines()
    return [line for line in text.splitlines() if not _OF_THE_KEY.match(line)]


def _without(data: object) -> object:
    if isinstance(data, dict):
        return {key: _without(value) for key, value in data.items() if key not in _DERIVED}
    if isinstance(data, list):
        return [_without(value) for value in data]
    return data
