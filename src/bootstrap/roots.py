"""What the release takes of Debian: read from the BUILD files, with what else a site may want.

That is what packages need beside them, and what servers of ours are made of. Also the bases that hosts
start from (packaging/bases/*.toml). All is read without Pants and, on Python 3.9, without a TOML module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit.errors import Failure

BASES = "packaging/bases"
BASE_NAMES = (
    "minimal",
    "standard",
    "cloud",
)  # what a host with the fewest packages has comes first
RELATIONS = {"depends": "depends on", "recommends": "recommends", "suggests": "suggests"}
# What no package of ours names, with the reason.
ALSO = {
    "nfs-kernel-server": "serves volumes from a storage node",
    "nftables": "rules of nodes, where no role brings it",
    "stunnel4": "TLS to an external service whose client speaks none",
}
_OURS = "backendai-"


@dataclass(frozen=True)
class Base:
    """A host before the installation: package names and patterns of apt (apt-patterns(7))."""

    name: str
    about: str
    packages: tuple[str, ...]


def roots(root: Path) -> dict[str, list[str]]:
    """Debian packages that the release asks for -> why; of alternatives the first, if it is not ours."""
    found: dict[str, set[str]] = {name: {reason} for name, reason in ALSO.items()}
    for path in sorted(root.glob("packaging/**/BUILD")):
        for package, relation, wanted in _relations(path):
            for text in wanted:
                name = re.split(r"[\s|(]", text.strip(), maxsplit=1)[0]
                if name.startswith(_OURS):
                    continue
                found.setdefault(name, set()).add(f"{package} {RELATIONS[relation]} it")
    return {name: sorted(reasons) for name, reasons in sorted(found.items())}


def servers(root: Path) -> dict[str, list[str]]:
    """What servers of ours are assembled from: {name of the server: Debian packages}."""
    return {
        name: [str(package) for package in debian]
        for path in sorted(root.glob("packaging/servers/*/BUILD"))
        for name, _, debian in _fields(path, ("debian",))
    }


def _relations(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(package, relation, Debian packages) of every macro call in a BUILD file."""
    for name, relation, wanted in _fields(path, RELATIONS):
        if isinstance(wanted, dict) and wanted.get("deb"):
            package = name if name.startswith(_OURS) else f"{_OURS}{name}"
            yield package, relation, [str(text) for text in wanted["deb"]]


def _fields(path: Path, names: Iterable[str]) -> Iterator[tuple[str, str, Any]]:
    """(`name` of the call, field, its value) of these fields of every macro call in a BUILD file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise Failure(f"{path}: {error}", hint="mend the BUILD file") from None
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = {word.arg: word.value for word in call.keywords if word.arg}
        for field in (name for name in names if name in given):
            try:
                yield str(ast.literal_eval(given["name"])), field, ast.literal_eval(given[field])
            except (KeyError, ValueError):
                raise Failure(
                    f"{path}:{call.lineno}: `name` and `{field}` must be plain words",
                    hint="write them out: scripts/lock-debian reads them",
                ) from None


def read_base(root: Path, name: str) -> Base:
    """packaging/bases/NAME.toml."""
    path = root / BASES / f"{name}.toml"
    try:
        text = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", hint="git checkout the file") from None
    about = re.search(r'^about = "([^"]+)"', text, re.MULTILINE)
    packages = re.search(r"^packages = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    names = re.findall(r'"([^"]+)"', packages[1]) if packages else []
    if not about or not names:
        raise Failure(f"{path}: `about` and a list `packages` are needed", hint="see minimal.toml")
    return Base(name, about[1], tuple(names))


def bases(root: Path) -> list[Base]:
    """All bases, the one with the fewest packages first."""
    return [read_base(root, name) for name in BASE_NAMES]
