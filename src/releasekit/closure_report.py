"""What hosts lack and get from the bundle, and what Enterprise Linux hosts must get elsewhere."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

NEEDS = {
    "requires": "required",
    "depends": "required",
    "recommends": "recommended",
    "suggests": "suggested",
}
_COLUMNS = 100


def bases(closure: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A row for each base. `closure` is that of debian.lock, `entries` its packages by plain name."""

    def rows(names: Iterable[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "version": entries[name]["version"],
                "size": entries[name]["size"],
                "installed": closure["installed"][name],
                "filename": entries[name]["filename"],
            }
            for name in names
        ]

    found = {}
    for name, base in closure["bases"].items():
        lacks = rows(base["lacks"])
        gone = {*base["lacks"], *base["updates"]}
        found[name] = {
            "about": base["about"],
            "packages": base["packages"],
            "download": sum(row["size"] for row in lacks),
            "installed": sum(row["installed"] for row in lacks),
            "lacks": lacks,
            "updates": rows(base["updates"]),
            "has": sorted(entry for entry in closure["installed"] if entry not in gone),
        }
    return found


def enterprise_linux(
    table: Mapping[str, Any], asked: Iterable[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """The distribution packages that an Enterprise Linux site needs on its own mirror.

    `table` is packaging/bases/el.toml; `asked` are (package of ours, relation, package of theirs).
    """
    by_name: dict[str, dict[str, Any]] = {}
    strongest = list(dict.fromkeys(NEEDS.values()))
    known = table.get("packages", {})
    for ours, relation, theirs in asked:
        said = known.get(theirs, {})
        row = by_name.setdefault(
            theirs,
            {
                "name": theirs,
                "why": said.get("why", ""),
                "source": said.get("source", ""),
                "need": NEEDS[relation],
                "needed_by": set(),
            },
        )
        row["needed_by"].add(ours)
        row["need"] = min(row["need"], NEEDS[relation], key=strongest.index)
    rows = [{**row, "needed_by": sorted(row["needed_by"])} for row in by_name.values()]
    base = [
        {
            "name": row["name"],
            "why": row["why"],
            "source": "BaseOS",
            "need": "of every installation",
            "needed_by": [],
        }
        for row in table.get("base", ())
    ]
    return [*sorted(rows, key=lambda row: (strongest.index(row["need"]), row["name"])), *base]


def report(
    *,
    release: str,
    suite: str,
    closure: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    el: list[dict[str, Any]],
) -> dict[str, Any]:
    """closure/report.json as data."""
    return {
        "format": 1,
        "release": release,
        "suite": suite,
        "roots": closure["roots"],
        "bases": bases(closure, entries),
        "el": {"packages": el},
    }


def text(data: Mapping[str, Any]) -> str:
    """closure/report.txt: the same, to read."""
    lines = [f"What hosts lack and get from release {data['release']}", ""]
    lines += _wrap(
        f"Resolved by apt's own solver for Debian {data['suite']}, without recommended packages. "
        "A host's own packages are used where it has them."
    )
    lines += ["", "What the release asks Debian for:"]
    for name, reasons in data["roots"].items():
        lines += _wrap(f"{name}: {'; '.join(reasons)}", indent="  ")
    for name, base in data["bases"].items():
        lines += ["", f"Base {name}: {base['about']} ({base['packages']} packages)"]
        lines += _wrap(
            f"lacks {len(base['lacks'])} packages: {_megabytes(base['download'])} to install, "
            f"{_megabytes(base['installed'])} installed"
        )
        width = max(len(row["name"]) for row in base["lacks"])
        for row in base["lacks"]:
            lines.append(
                f"  {row['name']:<{width}}  {_megabytes(row['size']):>9}  {row['version']}"
            )
        if base["updates"]:
            names = ", ".join(row["name"] for row in base["updates"])
            lines += _wrap(f"updated if older than the release's: {names}")
    lines += ["", "Enterprise Linux: what must be on the site's own mirror", ""]
    lines += _wrap(
        "Our rpms bring their own Python, C library and libraries: no package of the distribution is "
        "linked against. Required and recommended packages are needed where a role runs these servers "
        "on the host."
    )
    for row in data["el"]["packages"]:
        users = f" ({', '.join(row['needed_by'])})" if row["needed_by"] else ""
        lines += ["", f"  {row['name']}: {row['need']}{users}"]
        lines += _wrap(f"{row['why']}. Where: {row['source']}", indent="    ")
    return "\n".join(lines) + "\n"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _wrap(words: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        words,
        _COLUMNS,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
