"""Make one file of a Python program: `python -m releasekit.zip_app SPEC.json`.

A zip that Python runs (zipapp), for machines that have Python and nothing of ours. The same bytes for
the same files: sorted, with one time stamp.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from releasekit.errors import Failure, run_main
from releasekit.specs import program

_START = "#!/usr/bin/env python3\n"
_MAIN = "from {module} import {function}\n\n{function}()\n"
_MODE = 0o100644


@dataclass(frozen=True)
class ZipSpec:
    """`files` lie below `root` in the sandbox, which is what they are named from in the zip."""

    root: str
    files: list[str]
    main: str  # MODULE:FUNCTION
    output: str
    mtime: int  # seconds since the epoch


def make(spec: ZipSpec) -> None:
    """Write the program. Failure if `main` is in none of its files."""
    module, _, function = spec.main.partition(":")
    place = module.replace(".", "/") + ".py"
    if place not in spec.files or not function.isidentifier():
        raise Failure(
            f"main: {spec.main!r} is not a MODULE:FUNCTION of {spec.output}",
            hint=f"name a function in one of: {', '.join(sorted(spec.files))}",
        )
    texts = {name: Path(spec.root, name).read_bytes() for name in spec.files}
    texts["__main__.py"] = _MAIN.format(module=module, function=function).encode()
    stamp = datetime.fromtimestamp(spec.mtime, timezone.utc).timetuple()[:6]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name in sorted(texts):
            info = zipfile.ZipInfo(name, stamp)
            info.external_attr = _MODE << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, texts[name])
    Path(spec.output).write_bytes(_START.encode() + packed.getvalue())


main = program(ZipSpec, make)


if __name__ == "__main__":
    run_main(main)
