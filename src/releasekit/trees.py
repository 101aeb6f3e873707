"""Build the file tree of one package: `python -m releasekit.trees SPEC`.

SPEC is a JSON file (see `TreeSpec`). Written beside it: `tree.tar`, paths as on a host, and
`tree.json` with the licence expression and what was pruned. The same spec and wheels give the
same bytes anywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from releasekit import bytecode, specs, tarball
from releasekit.errors import Failure, run_main
from releasekit.licenses import expression, part_of_wheel, write_doc
from releasekit.model import Part
from releasekit.prune import load

PRUNE_TABLE = "packaging/common/prune.toml"


@dataclass(frozen=True)
class TreeSpec:
    """What goes into a tree. Paths of inputs are relative to the sandbox, all others as on a host."""

    package: str
    environment: str  # where the distributions are installed
    runtime: str  # the private CPython they run on
    python: str  # its version, as in "3.13"
    mtime: int  # seconds since the epoch
    homepage: str
    license: str
    wheels: list[str] = field(default_factory=list)
    prune: list[dict[str, Any]] = field(default_factory=list)
    skeleton: bool = False  # also make the environment itself: pyvenv.cfg and bin/python
    private_loader: list[str] = field(default_factory=list)  # programs below site-packages
    patchelf: str = ""
    jobs: int = 1


def build(spec: TreeSpec, root: Path) -> dict[str, Any]:
    """Lay the tree out below `root`; return what `tree.json` holds."""
    environment = root / spec.environment.lstrip("/")
    environment.mkdir(parents=True, exist_ok=True)
    rules = load(spec.prune, file=PRUNE_TABLE)
    parts: list[Part] = []
    for wheel in sorted(spec.wheels):
        installed = install_one(Path(wheel), environment, spec, rules)
        parts.append(part_of_wheel(installed))
    if spec.skeleton:
        make_skeleton(environment, spec)
    for program in spec.private_loader:
        use_private_loader(environment, program, spec)
    library = f"lib/python{spec.python}"  # not bin: a script there is no module, whatever its name
    bytecode.compile_tree(
        environment / library, shown_as=f"{spec.environment}/{library}", jobs=spec.jobs
    )
    write_doc(
        root / "usr/share/doc" / spec.package,
        package=spec.package,
        homepage=spec.homepage,
        own=spec.license,
        parts=parts,
    )
    return {
        "package": spec.package,
        "license": expression(spec.license, parts),
        "distributions": [f"{part.name}=={part.version}" for part in parts],
    }


def install_one(wheel: Path, environment: Path, spec: TreeSpec, rules: Any) -> Path:
    """Install one wheel; return its `.dist-info` folder."""
    from releasekit.wheels import install_wheel  # needs `installer`, which other programs do not

    shown_as = spec.environment
    return install_wheel(
        wheel, environment, python=spec.python, shown_as=shown_as, rules=rules
    ).info


def make_skeleton(environment: Path, spec: TreeSpec) -> None:
    """The files that make a folder a PEP 405 environment on the private runtime."""
    (environment / "bin").mkdir(exist_ok=True)
    target = os.path.relpath(f"{spec.runtime}/bin/python{spec.python}", f"{spec.environment}/bin")
    for name in ("python", "python3", f"python{spec.python}"):
        (environment / "bin" / name).symlink_to(target)
    (environment / "pyvenv.cfg").write_text(
        f"home = {spec.runtime}/bin\n"
        "include-system-site-packages = false\n"
        f"version = {spec.python}\n",
        "utf-8",
    )


def use_private_loader(environment: Path, name: str, spec: TreeSpec) -> None:
    """Make a program of a wheel start with the runtime's loader and libraries, not the host's."""
    from releasekit.wheels import renew_record  # needs `installer`, which other programs do not

    site = environment / f"lib/python{spec.python}/site-packages"
    program = site / name
    if not program.is_file():
        raise Failure(
            f"{spec.package}: private_loader names {program.name}, which no wheel of it holds",
            hint="give a path relative to site-packages",
        )
    loader = f"{spec.runtime}/lib/ld-linux-x86-64.so.2"
    # fmt: off
    argv = [
        os.path.abspath(spec.patchelf),
        "--set-interpreter", loader,
        "--force-rpath",
        "--set-rpath", f"{spec.runtime}/lib",
        str(program),
    ]
    # fmt: on
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"patchelf failed on {program.name}: {done.stderr.strip()}")
    renew_record(site, name)


def make(spec: TreeSpec) -> None:
    """Write `tree.tar` and `tree.json` to the working folder."""
    root = Path("root")
    facts = build(spec, root)
    tarball.pack(root, Path("tree.tar"), mtime=spec.mtime)
    Path("tree.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")


main = specs.program(TreeSpec, make)


if __name__ == "__main__":
    run_main(main)
