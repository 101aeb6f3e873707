"""A shipped bundle held against a build of the commit that its provenance names."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootstrap import source
from devtools.archives import difference, members
from devtools.compare import SAME, explain
from devtools.keyed import KEYRING, differences, is_document
from release_tool.bundle import Bundle
from release_tool.layout import MANIFEST
from release_tool.signature import spaced
from release_tool.tables import megabytes, table
from release_tool.verify import verify
from releasekit.errors import Failure
from releasekit.files import sha256_of
from releasekit.rpm_sign import parse

PROVENANCE = "provenance/release.intoto.json"
DIFFERENT, MISSING, NOT_BUILT = "DIFFERENT", "NOT SHIPPED", "NOT BUILT"
KEYS = "same but for the keys"
# What a signature or a key makes another: whoever checks a release does not hold its key. The page
# and the indices of the repositories say nothing that the packages and documents do not.
_KEYED = re.compile(
    r"^(MANIFEST(\.sig)?|keys/.*|apt/dists/.*|rpm/(packages|repodata)/.*|report/.*"
    r"|apt/pool/.*/backendai-archive-keyring_.*)$"
)
_KEY_FILES = re.compile(
    r"(\.gpg|\.asc|md5sums|control|SHA256SUMS|ar: (control|data)\.tar(\.\w+)?)$"
)
# RPMSIGTAG_*: signatures (DSA, RSA, PGP, GPG, OPENPGP) and the space reserved for them.
_SIGNATURES = frozenset((267, 268, 1002, 1005, 278, 1008))


@dataclass(frozen=True)
class Shipped:
    """A bundle whose signature and every file are right; `statement` is its provenance."""

    bundle: Bundle
    statement: Mapping[str, Any]

    @property
    def commit(self) -> str:
        definition = self.statement["predicate"]["buildDefinition"]
        return str(definition["externalParameters"]["commit"])

    @property
    def subjects(self) -> dict[str, str]:
        """sha256 by file name of what anybody can build."""
        rows = self.statement["subject"]
        return {row["name"]: row["digest"]["sha256"] for row in rows if "/" not in row["name"]}

    def path_of(self, name: str) -> str:
        """Where the bundle has a deb or rpm; empty when it has none."""
        found = [path for path in self.bundle.manifest if path.rsplit("/", 1)[-1] == name]
        return found[0] if found else ""


@dataclass(frozen=True)
class Held:
    """One artefact: the verdict, size in bytes, and lines that name what differs."""

    name: str
    result: str
    size: int
    details: Sequence[str] = field(default=())


def open_bundle(path: Path, fingerprint: str = "") -> Shipped:
    """Check signature and every file first; Failure when anything is wrong or there is no provenance."""
    bundle = Bundle(path)
    verdict = verify(bundle, fingerprint.replace(" ", "").upper())
    print(
        f"{path}: signed by {spaced(verdict.signed.fingerprint)}, {verdict.files} files are right"
    )
    if not fingerprint:
        print("compare the fingerprint with one that reached you by another way (--fingerprint)")
    try:
        statement = json.loads(bundle.text(PROVENANCE))
        shipped = Shipped(bundle, statement)
        print(f"provenance: commit {shipped.commit}, {len(shipped.subjects)} artefacts", flush=True)
    except (ValueError, KeyError) as error:
        raise Failure(f"{path}: {PROVENANCE} does not read: {error}") from None
    return shipped


def sources_of(shipped: Shipped, root: Path, target: Path, *, as_is: bool = False) -> Path:
    """A checkout of the commit: `root` itself when it is there and clean, else a clone in `target`."""
    commit = shipped.commit
    here = source.environment(root)["BACKENDAI_COMMIT"]
    exact = re.fullmatch(r"[0-9a-f]{40}", commit)
    if as_is or (exact and here == commit):
        print(f"building {root}, which is at {here}", flush=True)
        return root
    if not exact:
        raise Failure(
            f"the provenance names no commit that can be checked out: {commit}",
            hint="it was built from a changed checkout; --this-checkout builds the sources as they "
            "are here",
        )
    clone = ["git", "clone", "--quiet", "--shared", "--no-checkout", str(root), str(target)]
    checkout = ["git", "-C", str(target), "checkout", "--quiet", "--detach", commit]
    for argv in (clone, checkout):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(
                f"{root} does not give the commit {commit}: {done.stderr.strip()}",
                hint="fetch it: git fetch --all",
            )
    print(f"building a clone at {commit}; {root} is at {here}", flush=True)
    return target


def hold_against(shipped: Shipped, dist: Path, scratch: Path, *, whole: bool) -> list[Held]:
    """A row per artefact. `whole`: everything was built, so what is missing counts as a difference."""
    scratch.mkdir(parents=True, exist_ok=True)
    built = {path.name: path for path in sorted(dist.glob("*")) if path.is_file()}
    rows = []
    for name, sha256 in shipped.subjects.items():
        if name in built:
            rows.append(_hold(shipped, name, sha256, built[name], scratch))
        elif whole:
            rows.append(Held(name, NOT_BUILT, 0, ["the provenance names it, the build has none"]))
    known = {*shipped.subjects, "release.json", "SHA256SUMS"}
    for name, path in built.items():
        if name not in known and path.suffix in (".deb", ".rpm", ".pex"):
            size = path.stat().st_size
            rows.append(Held(name, MISSING, size, ["the build made it, the provenance has none"]))
    rows += _foreign(shipped)
    bundle = dist / f"{shipped.bundle.facts.folder}.tar"
    if bundle.is_file():
        accepted = {row.name for row in rows if row.result in (SAME, KEYS)}
        keyed = (row.name for row in rows if row.result == KEYS)
        unsigned = {sha256_of(built[name]): shipped.subjects[name] for name in keyed}
        rows += _others(shipped, Bundle(bundle), accepted, unsigned)
    else:
        rows += _images(shipped, dist)
    return rows


def tell(rows: Sequence[Held]) -> int:
    """Print every artefact and every difference; the exit status."""
    if not rows:
        raise Failure("nothing that was built is in the bundle", hint="what does --only name?")
    print()
    print(table(("artefact", "size", "result"), [(r.name, _size(r.size), r.result) for r in rows]))
    bad = [row for row in rows if row.result not in (SAME, KEYS)]
    for row in rows:
        if row.details:
            print(f"\n{row.name}: {row.result}")
            print("\n".join(f"  {line}" for line in row.details))
    print(f"\n{len(rows)} compared, {len(rows) - len(bad)} as shipped, {len(bad)} not")
    return 1 if bad else 0


def same_rpm(shipped: Path, built: Path) -> bool:
    """Whether two rpms are the same but for signatures: header, payload and digests."""
    one, two = parse(shipped), parse(built)
    plain = [[t for t in rpm.signatures if t.number not in _SIGNATURES] for rpm in (one, two)]
    return (one.lead, one.header, one.payload, plain[0]) == (
        two.lead,
        two.header,
        two.payload,
        plain[1],
    )


def _hold(shipped: Shipped, name: str, sha256: str, built: Path, scratch: Path) -> Held:
    """One artefact. What was shipped counts; what the provenance says of it must be the same."""
    size, digest = built.stat().st_size, sha256_of(built)
    path = shipped.path_of(name)
    if not path:  # a PEX: it is in no bundle
        if digest == sha256:
            return Held(name, SAME, size)
        return Held(
            name, DIFFERENT, size, [f"shipped: sha256 {sha256}", f"built:   sha256 {digest}"]
        )
    if digest == sha256 == shipped.bundle.manifest[path]:  # which open_bundle held the file against
        return Held(name, SAME, size)
    copy = scratch / name
    with copy.open("wb") as stream:
        for block in shipped.bundle.places[path].blocks():
            stream.write(block)
    try:
        same = same_rpm(copy, built) if name.endswith(".rpm") else sha256_of(copy) == digest
        if same and digest == sha256:
            return Held(name, SAME, size)
        details = [] if same else _explained(copy, built)
        if digest != sha256:
            details.append(f"the provenance says sha256 {sha256}, the build has {digest}")
        if name.startswith(KEYRING) and _only_keys(copy, built):
            return Held(name, KEYS, size)
        return Held(name, DIFFERENT, size, details)
    finally:
        copy.unlink()


def _explained(shipped: Path, built: Path) -> list[str]:
    lines = explain(shipped, built).splitlines()
    words = {"first:": "shipped:", "second:": "built:  ", "only in the first:": "only shipped:"}
    words["only in the second:"] = "only built:"
    found = []
    for line in lines:
        for old, new in sorted(words.items(), key=lambda pair: -len(pair[0])):
            line = line.replace(old, new, 1)
        found.append(line)
    return found


def _only_keys(shipped: Path, built: Path) -> bool:
    """Whether the files inside that differ are the keys and what names their hashes."""
    lines = difference(members(shipped), members(built))
    return bool(lines) and all(_KEY_FILES.search(line.splitlines()[0]) for line in lines)


def _foreign(shipped: Shipped) -> list[Held]:
    """Packages that we did not build: each must be among the locked inputs of the provenance."""
    definition = shipped.statement["predicate"]["buildDefinition"]
    known = {
        row.get("digest", {}).get("sha256") for row in definition.get("resolvedDependencies", ())
    }
    rows = []
    for path, sha256 in sorted(shipped.bundle.manifest.items()):
        name = path.rsplit("/", 1)[-1]
        if name.endswith((".deb", ".rpm")) and name not in shipped.subjects and sha256 not in known:
            size = shipped.bundle.places[path].size
            rows.append(Held(path, DIFFERENT, size, ["shipped, but no input of the provenance"]))
    return rows


def _images(shipped: Shipped, dist: Path) -> list[Held]:
    """The files of images, where these were built and the bundle that holds them was not."""
    rows = []
    for path in sorted(path for path in (dist / "images").rglob("*") if path.is_file()):
        name, digest = path.relative_to(dist).as_posix(), sha256_of(path)
        theirs = shipped.bundle.manifest.get(name, "absent")
        same = digest == theirs
        result = SAME if same else MISSING if theirs == "absent" else DIFFERENT
        details = [] if same else [f"shipped: {theirs}", f"built:   {digest}"]
        rows.append(Held(name, result, path.stat().st_size, details))
    return rows


def _others(
    shipped: Shipped, built: Bundle, accepted: Collection[str], unsigned: Mapping[str, str]
) -> list[Held]:
    """The files of the bundle that are no artefacts of their own and hold no signature or key."""
    one, two = shipped.bundle.manifest, built.manifest
    rows = []
    for path, lines in differences(shipped.bundle, built, accepted, unsigned):
        size = shipped.bundle.places[path].size if path in one else 0
        result = DIFFERENT if lines else SAME if one[path] == two[path] else KEYS
        rows.append(Held(path, result, size, lines))
    for path in sorted({*one, *two} - {MANIFEST}):
        if _KEYED.match(path) or is_document(path) or path.endswith((".deb", ".rpm")):
            continue
        if one.get(path) == two.get(path):
            continue
        place = shipped.bundle.places.get(path) or built.places[path]
        result = NOT_BUILT if path not in two else MISSING if path not in one else DIFFERENT
        digests = [f"shipped: {one.get(path, 'absent')}", f"built:   {two.get(path, 'absent')}"]
        rows.append(Held(path, result, place.size, digests))
    return rows


def _size(size: int) -> str:
    return megabytes(size) if size else ""
