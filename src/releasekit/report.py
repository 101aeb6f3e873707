"""Make the release page: `python -m releasekit.report SPEC`.

SPEC is a JSON file (see `Spec`). Written: OUTPUT/index.html, one file that needs no other and no
network, and OUTPUT/summary.json, which the page of the next release compares itself with.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit.deb822 import paragraphs
from releasekit.errors import Failure, run_main
from releasekit.model import File
from releasekit.report_data import (
    TYPES,
    changes,
    packages,
    read,
    summary,
)
from releasekit.report_sizes import HEIGHT, WIDTH, Item, human, tiles
from releasekit.specs import program

GROUPS = {
    "ours-deb": "Our packages, deb",
    "ours-rpm": "Our packages, rpm",
    "images": "Images of sessions",
    "rest": "Indices, SBOM, licences, documents",
}
TEMPLATE, STYLE, SCRIPT = "index.html.j2", "style.css", "page.js"


@dataclass(frozen=True)
class Spec:
    """What the page is made of. Paths are relative to the sandbox; an empty one: there is none."""

    release: dict[str, Any]  # name, version, number, date, homepage, changes
    signing: dict[str, str]  # kind: local or given; fingerprint
    files: tuple[File, ...]  # of the bundle
    packages: str  # Packages of the apt repository
    licenses: str  # licenses/index.json
    previous: str  # summary.json of the release before
    reproducibility: str  # what scripts/reproduce wrote
    exposure: str  # what the scenario of hardened units measured
    templates: str  # folder
    output: str  # folder


def group(path: str) -> str:
    """Which of GROUPS a file of the bundle belongs to."""
    name = path.rsplit("/", 1)[-1]
    if name.endswith(".rpm"):
        return "ours-rpm"
    if name.endswith(".deb"):
        return "ours-deb"
    return "images" if path.startswith("images/") else "rest"


def context(spec: Spec) -> dict[str, Any]:
    """The variables of the template."""
    files = sorted(spec.files, key=lambda file: file.path)
    index = paragraphs(Path(spec.packages).read_text("utf-8")) if spec.packages else ()
    found = packages(index, files)
    components = (read(spec.licenses) or {"components": []})["components"]
    now = summary(spec.release, found, components)
    before = read(spec.previous)
    rows, parts, same = changes(before, now) if before else ([], [], 0)
    items = [Item(file.name, group(file.path), file.size) for file in files]
    exposure = read(spec.exposure)
    return {
        "release": spec.release,
        "signing": spec.signing,
        "grouped_fingerprint": _fours(spec.signing["fingerprint"]),
        "files": files,
        "total": sum(file.size for file in files),
        "ours": found,
        "groups": _groups(items),
        "tiles": tiles(items),
        "width": WIDTH,
        "height": HEIGHT,
        "components": components,
        "types": TYPES,
        "licenses": _licenses(components),
        "before": before,
        "changed": rows,
        "changed_parts": parts,
        "unchanged": same,
        "reproducibility": read(spec.reproducibility),
        "exposure": exposure,
        "scores": _scores(exposure),
        "summary": now,
    }


def render(spec: Spec) -> str:
    """The page. Every text from data is escaped; a missing variable is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(spec.templates),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["human"] = human
    environment.filters["exact"] = lambda size: f"{size:,} bytes".replace(",", " ")
    # They are ours and go into the page as they are; the page runs and loads nothing else.
    style = Path(spec.templates, STYLE).read_text("utf-8")
    script = Path(spec.templates, SCRIPT).read_text("utf-8")
    try:
        return environment.get_template(TEMPLATE).render(
            **context(spec),
            style=Markup(style),
            script=Markup(script),
            style_digest=_csp(style),
            script_digest=_csp(script),
        )
    except TemplateError as error:
        raise Failure(
            f"the release page: {error.message}",
            hint=f"see {TEMPLATE}, and the keys of packaging/exposure.json and reproducibility.json",
        ) from None


def write(spec: Spec) -> None:
    """Write both files."""
    folder = Path(spec.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(render(spec), "utf-8")
    text = json.dumps(context(spec)["summary"], indent=1, sort_keys=True)
    (folder / "summary.json").write_text(text + "\n", "utf-8")


def _groups(items: Iterable[Item]) -> list[dict[str, Any]]:
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for item in items:
        count[item.group] += 1
        size[item.group] += item.size
    return [
        {"key": key, "title": title, "count": count[key], "size": size[key]}
        for key, title in GROUPS.items()
        if count[key]
    ]


def _licenses(components: Iterable[Mapping[str, Any]]) -> Sequence[tuple[str, int]]:
    """Licences by how many components have them, most first."""
    count = Counter(part["license"] for part in components)
    return sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))


def _scores(exposure: Mapping[str, Any] | None) -> list[tuple[str, float]]:
    """Units by exposure, the most exposed first."""
    units = exposure["units"] if exposure else {}
    return sorted(units.items(), key=lambda pair: (-pair[1], pair[0]))


def _csp(text: str) -> str:
    """The hash by which a page's own policy allows an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _fours(fingerprint: str) -> str:
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


main = program(Spec, write)


if __name__ == "__main__":
    run_main(main)
