"""Examples of a site file in the guides: indented lines that begin with a table of it."""

from __future__ import annotations

import re
from pathlib import Path

from backendai_ctl.site import reference
from backendai_ctl.site.schema import Site

DOCS = Path(__file__).resolve().parents[3] / "docs"


def _examples() -> list[str]:
    found = []
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text("utf-8")
        for block in re.findall(r"(?:^ {4,}\S.*\n|^\n(?= {4,}\S))+", text, re.MULTILINE):
            lines = [line.strip() for line in block.strip().splitlines()]
            table = re.match(r"\[(\w+)", lines[0])
            if table and table[1] in Site.model_fields:
                found.append("\n".join(lines))
    return found


def _whole() -> str:
    lines = [line[4:] for line in reference.markdown().splitlines() if line.startswith("    ")]
    return "\n".join(lines[lines.index("[site]") :])


EXAMPLES = _examples()
EXAMPLE = _whole()  # the whole site file of the reference
