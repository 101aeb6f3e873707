"""Make a wheel of our own Python: `python -m releasekit.own_wheel SPEC`.

SPEC is a JSON file (see `WheelSpec`). The wheel is pure Python, made by setuptools; its bytes depend on
the spec and the sources alone.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from releasekit.errors import Failure, run_main
from releasekit.specs import program

ENDINGS = ("j2", "py", "sh", "toml")  # of what a package has in it


@dataclass(frozen=True)
class WheelSpec:
    """What the wheel says of itself. Paths are relative to the sandbox."""

    name: str  # canonical, such as backendai-ctl
    version: str
    summary: str
    homepage: str
    license: str  # SPDX
    python: str  # such as "3.13"
    mtime: int  # seconds since the epoch
    output: str  # folder for the wheel
    sources: str  # folder with the packages
    packages: list[str] = field(default_factory=list)  # top-level packages
    requires: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(
        default_factory=dict
    )  # console scripts: name -> module:function


def file_name(name: str, version: str) -> str:
    """The wheel's file name."""
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def project(spec: WheelSpec) -> str:
    """The text of pyproject.toml, in which strings, lists and booleans are as in JSON."""
    tables: dict[str, dict[str, object]] = {
        "project": {
            "name": spec.name,
            "version": spec.version,
            "description": spec.summary,
            "license": spec.license,
            "requires-python": f">={spec.python}",
            "dependencies": spec.requires,
            "urls.Homepage": spec.homepage,
            **{f"scripts.{name}": target for name, target in spec.scripts.items()},
        },
        "tool.setuptools": {
            "packages.find.include": [f"{package}*" for package in spec.packages],
            "packages.find.namespaces": False,
            'package-data."*"': [f"*.{ending}" for ending in ENDINGS],
        },
    }
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


def build(spec: WheelSpec) -> Path:
    """Write the wheel; return its path. Failure if something named is no package."""
    from setuptools import build_meta  # as locked; rules know this module without it

    output = Path(spec.output).resolve()
    output.mkdir(parents=True, exist_ok=True)
    os.environ["SOURCE_DATE_EPOCH"] = str(spec.mtime)
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as work:
        Path(work, "pyproject.toml").write_text(project(spec), "utf-8")
        for package in spec.packages:
            source = Path(spec.sources, package)
            if not (source / "__init__.py").is_file():
                raise Failure(
                    f"{spec.name}: {source} is not a Python package",
                    hint="name packages below src/ in `packages`",
                )
            # Contents without modes, which may be this machine's.
            shutil.copytree(source, Path(work, package), copy_function=shutil.copyfile)
        try:
            os.chdir(work)
            name: str = build_meta.build_wheel(str(output))
        finally:
            os.chdir(before)
    return output / name


main = program(WheelSpec, build)


if __name__ == "__main__":
    run_main(main)
