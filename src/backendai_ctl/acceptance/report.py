"""What an acceptance gave, beside what the last one gave: for programs, for people, for a file cabinet."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console
from rich.text import Text

from backendai_ctl.acceptance.outcomes import Outcome
from backendai_ctl.checks import report as kept
from backendai_ctl.errors import Problem, summary
from backendai_ctl.platform import careful, files
from backendai_ctl.platform.text import status_word

_OK = {"ok": True, "fail": False, "skip": None}
FORMAT = 1
_MOST = 2**24  # bytes of a report


@dataclass(frozen=True)
class Last:
    """The report before: its time (empty: there is none), {(group, name): its row}."""

    time: str
    rows: Mapping[tuple[str, str], Mapping[str, Any]]

    def beside(self, outcome: Outcome) -> dict[str, Any]:
        """The row of an outcome; `before`: level and seconds of the last report, or none."""
        row = self.rows.get((outcome.group, outcome.name))
        before = {key: row[key] for key in ("level", "seconds")} if row else None
        return {**asdict(outcome), "before": before}


@dataclass(frozen=True)
class Report:
    """Of one run, asked from `host`. Holds no secret."""

    version: str
    host: str
    time: str  # ISO, UTC
    url: str
    image: str
    outcomes: tuple[Outcome, ...]
    last: Last

    @property
    def errors(self) -> list[Problem]:
        """What failed."""
        return [
            Problem(f"{one.group}: {one.name}: {one.message}", hint=one.hint)
            for one in self.outcomes
            if one.level == "fail"
        ]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [self.last.beside(one) for one in self.outcomes]

    @property
    def missing(self) -> list[str]:
        """What the last report had tried and this one did not."""
        tried = {(one.group, one.name) for one in self.outcomes}
        return [f"{group}: {name}" for group, name in self.last.rows if (group, name) not in tried]

    def data(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            **summary(self.errors),
            **{key: getattr(self, key) for key in ("version", "host", "time", "url", "image")},
            "outcomes": self.rows,
            "last": self.last.time or None,
            "missing": self.missing,
        }


def make(version: str, url: str, image: str, outcomes: Sequence[Outcome], last: Last) -> Report:
    """A report of now."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(version, socket.gethostname(), time, url, image, tuple(outcomes), last)


def newest(folder: Path) -> Last:
    """Of the reports in a folder, which is made if it is missing; one that cannot be read counts as none."""
    if not folder.is_dir():  # else it stays whose it is
        files.make_folder(folder, mode=0o750)
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            found = json.loads(careful.read(path, _MOST) or b"")
            if found["format"] == FORMAT:
                rows = {(row["group"], row["name"]): _number(row) for row in found["outcomes"]}
                return Last(str(found["time"]), rows)
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return Last("", {})


def _number(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "level": str(row["level"]), "seconds": float(row["seconds"])}


def line(row: Mapping[str, Any]) -> Text:
    """An outcome for people, with what it was before."""
    level = row["level"]
    text = Text.assemble("  ", status_word(f"{level:<5}", _OK[level]))
    text.append(f"{row['group']}: {row['name']}: {row['message']}, {row['seconds']:.1f} s")
    before = row.get("before")
    if before:
        was = "" if before["level"] == level else f"{before['level']}, "
        text.append(f" (last: {was}{before['seconds']:.1f} s)")
    if row["hint"] and level == "fail":
        text.append(f"\n       hint: {row['hint']}")
    return text


def show(report: Report, console: Console) -> None:
    """All of it, for people."""
    console.print(f"Backend.AI {report.version} at {report.url}, {report.time}, {report.image}")
    for row in report.rows:
        console.print(line(row))
    conclude(report, console)


def conclude(report: Report, console: Console) -> None:
    """What follows the lines."""
    for what in report.missing:
        console.print(f"  not tried, and was on {report.last.time}: {what}")
    done = len(report.outcomes) - len(report.errors)
    console.print(f"{'FAILED' if report.errors else 'ok'}: {done} of {len(report.outcomes)}")


@dataclass(frozen=True)
class Written:
    """Where a report is; `sha256` of its JSON."""

    json: Path
    text: Path
    html: Path
    sha256: str
    signature: Path | None


def write(report: Report, folder: Path, *, key: Path | None = None) -> Written:
    """TIME.json, TIME.txt and TIME.html (0640); with an Ed25519 `key`, TIME.json.sig. Raises Problem."""
    text = kept.plain(lambda console: show(report, console))
    made = kept.keep(report.time, report.data(), text, folder, key=key)
    page = made.json.with_suffix(".html")
    files.write(page, _page(report, made.sha256), mode=0o640)
    return Written(made.json, made.text, page, made.sha256, made.signature)


def _page(report: Report, sha256: str) -> str:
    loader = PackageLoader("backendai_ctl.acceptance", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("report.html.j2")
    return template.render(report=report, rows=report.rows, sha256=sha256)
