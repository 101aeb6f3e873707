"""Take single files out of a wheel that is not installed: `python -m releasekit.wheel_files SPEC`.

SPEC is a JSON file (see `FilesSpec`). Written below `output`: the files, and `licenses.json` with what
the wheel says of its licence.
"""

from __future__ import annotations

import fnmatch
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from releasekit.errors import Failure, run_main
from releasekit.licenses import part_of_archive
from releasekit.specs import program


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


def licenses(wheel: Path) -> list[dict[str, str]]:
    """The wheel's licence as nfpm packages are told of bundled works."""
    part = part_of_archive(wheel)
    text = "\n\n".join(part.texts)
    return [{"name": part.name, "version": part.version, "license": part.license, "text": text}]


def make(spec: FilesSpec) -> None:
    """Take the files, and write what the wheel says of its licences."""
    take(spec)
    text = json.dumps(licenses(Path(spec.wheel)), indent=1) + "\n"
    Path(spec.output, "licenses.json").write_text(text, "utf-8")


main = program(FilesSpec, make)


if __name__ == "__main__":
    run_main(main)
