"""docs/INSTALLING.md and the help of verify.sh and install.sh say the same; refusals are documented."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "packaging/bundle"
DOCUMENT = (ROOT / "docs/INSTALLING.md").read_text("utf-8")
SCRIPTS = ("verify.sh", "install.sh")


def shown(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dash", str(FOLDER / script), *words], capture_output=True, text=True, check=False
    )


def options(text: str) -> set[str]:
    return set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_of_the_help_is_documented_and_no_other(script: str) -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)[^|]*\| (\S+) \|", DOCUMENT, re.MULTILINE)
    documented = {option for option, of in rows if of in ("both", script)}
    done = shown(script, "--help")
    assert done.returncode == 0
    assert options(done.stdout) == documented


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_of_the_help_is_taken(script: str) -> None:
    code = (FOLDER / script).read_text()
    for option in options(shown(script, "--help").stdout):
        assert re.search(rf"^ .*{option}\b[^\n]*\)", code, re.MULTILINE), option


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("words", [("--nosuch",), ("extra",), ("--fingerprint",)])
def test_a_wrong_request_ends_with_2_and_a_hint(script: str, words: tuple[str, ...]) -> None:
    done = shown(script, *words)
    assert done.returncode == 2
    assert "hint: " in done.stderr


def test_documented_refusals_are_those_of_the_scripts() -> None:
    code = "".join(path.read_text() for path in FOLDER.rglob("*.sh"))
    table = DOCUMENT.split("| refused |")[1]
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    texts = [row for row in rows if not row.startswith("---")]
    assert len(texts) > 10
    for text in texts:
        for part in text.split("..."):
            assert part.strip(" ,") in code, text


def test_every_refusal_has_a_cure() -> None:
    for path in FOLDER.rglob("*.sh"):
        joined = path.read_text().replace("\\\n", " ")
        for call in re.findall(r'(?<![\w-])refuse "[^\n]*(?:\n {4,}".*)?', joined):
            assert re.search(r'"\s+"', call), (path.name, call)


def test_the_scripts_are_executable() -> None:
    assert all((FOLDER / script).stat().st_mode & 0o100 for script in SCRIPTS)
