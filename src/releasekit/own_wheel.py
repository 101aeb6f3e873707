"""Make a wheel of our own Python: `python -m releasekit.own_wheel SPEC`.

SPEC is a JSON file (see `WheelSpec`). The wheel is pure Python; its bytes depend on the spec and the
sources alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from releasekit.errors import Failure, run_main

ENDINGS = ("py", "sh")  # of what a package has in it
_STAMP = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say


@dataclass(frozen=True)
class WheelSpec:
    """What the wheel says of itself. Paths are relative to the sandbox."""

    name: str  # canonical, such as backendai-ctl
    version: str
    summary: str
    homepage: str
    license: str  # SPDX
    python: str  # such as "3.13"
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


def modules(spec: WheelSpec) -> dict[str, bytes]:
    """Modules and scripts of all packages, by their path in the wheel. Failure if a package has none."""
    root = Path(spec.sources)
    found = {}
    for package in sorted(spec.packages):
        files = (path for ending in ENDINGS for path in (root / package).rglob(f"*.{ending}"))
        paths = sorted(files)
        if root / package / "__init__.py" not in paths:
            raise Failure(
                f"{spec.name}: {root / package} is no Python package",
                hint="name packages below src/ in `packages`",
            )
        found.update({path.relative_to(root).as_posix(): path.read_bytes() for path in paths})
    return found


def metadata(spec: WheelSpec) -> dict[str, bytes]:
    """The files of `.dist-info`, RECORD aside."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {spec.name}",
        f"Version: {spec.version}",
        f"Summary: {spec.summary}",
        f"Project-URL: Homepage, {spec.homepage}",
        f"License-Expression: {spec.license}",
        f"Requires-Python: >={spec.python}",
        *(f"Requires-Dist: {need}" for need in sorted(spec.requires)),
    ]
    wheel = ["Wheel-Version: 1.0", "Generator: releasekit", "Root-Is-Purelib: true"]
    entries = [
        "[console_scripts]",
        *(f"{key} = {target}" for key, target in sorted(spec.scripts.items())),
    ]
    texts = {
        "METADATA": lines,
        "WHEEL": [*wheel, "Tag: py3-none-any"],
        "entry_points.txt": entries if spec.scripts else [],
    }
    return {name: ("\n".join(text) + "\n").encode() for name, text in texts.items() if text}


def record(files: Mapping[str, bytes], own: str) -> bytes:
    """RECORD: every file with its sha256 and size, and itself (`own`) without."""
    rows = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}")
    return "".join(f"{row}\n" for row in [*rows, f"{own},,"]).encode()


def build(spec: WheelSpec) -> Path:
    """Write the wheel; return its path."""
    folder = f"{spec.name.replace('-', '_')}-{spec.version}.dist-info"
    files = modules(spec)
    files.update({f"{folder}/{name}": data for name, data in metadata(spec).items()})
    files[f"{folder}/RECORD"] = record(files, f"{folder}/RECORD")
    target = Path(spec.output, file_name(spec.name, spec.version))
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as wheel:
        for path, data in files.items():
            member = zipfile.ZipInfo(path, _STAMP)
            member.create_system = 3  # Unix, on any machine
            member.external_attr = 0o100644 << 16
            wheel.writestr(member, data)
    return target


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m releasekit.own_wheel SPEC.json", file=sys.stderr)
        return 2
    build(WheelSpec(**json.loads(Path(sys.argv[1]).read_text("utf-8"))))
    return 0


if __name__ == "__main__":
    run_main(main)
