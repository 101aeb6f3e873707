"""The documents are held against the code: commands exist, tables are complete, keys are real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text("utf-8")
BUILDING = (ROOT / "docs/BUILDING.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs/ARCHITECTURE.md").read_text("utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLE = tomllib.loads((ROOT / "packaging/release.toml").read_text("utf-8"))


def commands(text: str) -> list[str]:
    """The first words of the indented lines that call something of this repository."""
    lines = re.findall(r"^    (\S+)", text, re.MULTILINE)
    return [word for word in lines if word.startswith(("./pants", "scripts/"))]


@pytest.mark.parametrize("word", sorted({*commands(README), *commands(BUILDING)}))
def test_a_command_of_the_documents_exists_and_is_executable(word: str) -> None:
    path = ROOT / word
    assert path.is_file()
    assert path.stat().st_mode & 0o100


def test_every_script_is_in_the_documents() -> None:
    for path in sorted((ROOT / "scripts").iterdir()):
        if path.is_file():
            assert f"scripts/{path.name}" in README + BUILDING, path.name


def folders(kind: str) -> list[str]:
    """The names of components or servers: of folders with a BUILD file."""
    return [path.parent.name for path in sorted((ROOT / "packaging" / kind).glob("*/BUILD"))]


def test_every_component_server_and_role_is_in_the_readme() -> None:
    components, servers = folders("components"), folders("servers")
    roles = re.findall(
        r'backendai_role\(\n    name="([^"]+)"', (ROOT / "packaging/roles/BUILD").read_text()
    )
    assert len(components) > 15
    assert len(servers) >= 7
    assert len(roles) == 5
    for name in components:
        shown = (
            f"`{name.removeprefix('accelerator-')}`"
            if "accelerator" in name
            else f"`backendai-{name}`"
        )
        assert shown in README, name
    for name in (*servers, *roles):
        assert f"`backendai-{name}`" in README, name


def test_every_package_in_the_readme_exists() -> None:
    named = set(re.findall(r"`backendai-([a-z-]+)`", README))
    built = {*folders("components"), *folders("servers")}
    roles = re.findall(r'name="([^"]+)"', (ROOT / "packaging/roles/BUILD").read_text())
    assert named <= {*built, *roles, "runtime", "common", "ctl", "archive-keyring", "accelerator-"}


def test_every_variable_of_the_documents_is_read_by_the_code() -> None:
    source = "".join(
        path.read_text("utf-8") for path in [ROOT / "pants", *(ROOT / "src/bootstrap").glob("*.py")]
    )
    for name in set(re.findall(r"BACKENDAI_[A-Z0-9_]+", BUILDING)):
        assert name in source, name


def test_every_package_and_suite_is_in_the_architecture() -> None:
    for path in sorted((ROOT / "src").iterdir()):
        if path.is_dir() and any(path.glob("*.py")):
            assert f"src/{path.name}/" in ARCHITECTURE, path.name
    for path in sorted((ROOT / "tests").iterdir()):
        if path.is_dir() and not path.name.startswith("__"):
            assert f"tests/{path.name}/" in ARCHITECTURE, path.name


def test_the_version_is_the_same_everywhere() -> None:
    version, revision = TABLE["release"]["version"], TABLE["release"]["revision"]
    assert CHANGELOG.split("## ")[1].startswith(f"{version}-{revision} ")
    assert TABLE["changelog"][0]["version"] == version
    assert TABLE["changelog"][0]["revision"] == revision
    assert TABLE["paths"]["environment"].endswith(f"/{version}")
    assert version in README


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.name))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    found = re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text("utf-8"))
    for name, anchor in found:
        target = path.parent / name if name else path
        assert target.is_file(), name
        assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{name}#{anchor}"


def test_the_readme_leads_to_every_document() -> None:
    for path in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{path.name})" in README, path.name


def test_the_architecture_is_read_in_one_go() -> None:
    assert len(ARCHITECTURE.splitlines()) <= 200
