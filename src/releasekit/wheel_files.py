"""Take single files out of a wheel that is not installed: `python -m releasekit.wheel_files SPEC`.

SPEC is a JSON file (see `FilesSpec`). Written below `output`: the files, and `licenses.json` with what
the wheel says of its licence.
"""

from __future__ import annotations

import fnmatch
import json
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from releasekit.errors import Failure, run_main
from releasekit.licences import part_of_wheel


@dataclass(frozen=True)
class FilesSpec:
    """What to take. Paths are relative to the sandbox."""

    wheel: str
    output: str
    files: dict[str, str] = field(default_factory=dict)  # pattern inside the wheel -> folder


def take(spec: FilesSpec) -> list[str]:
    """Write the files that match; return their paths below `output`. Failure if a pattern finds none."""
    taken = []
    with zipfile.ZipFile(spec.wheel) as wheel:
        for pattern, folder in sorted(spec.files.items()):
            names = sorted(n for n in wheel.namelist() if fnmatch.fnmatchcase(n, pattern))
            if not names:
                raise Failure(
                    f"{Path(spec.wheel).name}: no file matches {pattern!r}",
                    hint="upstream moved or renamed it: mend `files` in the BUILD file",
                )
            for name in names:
                target = Path(spec.output, folder, PurePosixPath(name).name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(wheel.read(name))
                taken.append(f"{folder}/{target.name}")
    return taken


def licences(wheel: Path) -> list[dict[str, str]]:
    """The wheel's licence as nfpm packages are told of bundled works."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if ".dist-info/" in name]
        archive.extractall(folder, inside)
        part = part_of_wheel(Path(folder, inside[0].split("/")[0]))
    text = "\n\n".join(part.texts)
    return [{"name": part.name, "version": part.version, "license": part.licence, "text": text}]


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m releasekit.wheel_files SPEC.json", file=sys.stderr)
        return 2
    spec = FilesSpec(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    take(spec)
    text = json.dumps(licences(Path(spec.wheel)), indent=1) + "\n"
    Path(spec.output, "licenses.json").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    run_main(main)
