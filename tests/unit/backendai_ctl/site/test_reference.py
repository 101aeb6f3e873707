"""The reference page and the JSON schema follow the schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomllib
from guides import EXAMPLE, EXAMPLES

from backendai_ctl.facts import Facts
from backendai_ctl.site import reference
from backendai_ctl.site.schema import Site
from backendai_ctl.validation.load import load

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("file", "text"),
    [("docs/SITE.md", reference.markdown()), ("docs/site.schema.json", reference.json_schema())],
)
def test_written_files_are_current(file: str, text: str) -> None:
    assert (ROOT / file).read_text("utf-8") == text, "run scripts/write-reference"


def test_every_key_is_described() -> None:
    def walk(part: reference.Schema, where: str) -> list[str]:
        found = reference.resolve(part)
        missing = [] if found.get("description") else [where]
        for key, inner in found.get("properties", {}).items():
            missing += walk(inner, f"{where}.{key}")
        return missing

    assert walk(reference.schema(), "site") == []


def test_tables_and_their_keys_are_on_the_page() -> None:
    page = reference.markdown()
    for table in ("[network]", "[database.NAME]", "[cache.sentinel]", "[storage.volumes.NAME]"):
        assert f"## {table}" in page
    port = (
        "| `port` | an integer from 1 to 65535 | `8100` | "
        "Port of the server. Default for an external one: 5432"
    )
    assert port in page


def test_the_example_is_a_good_site_file(facts: Facts) -> None:
    assert tomllib.loads(EXAMPLE)["storage"]["volumes"]["home"]["kind"] == "nfs"
    facts.paths.site_file.write_text(EXAMPLE)
    assert load(facts.paths.site_file, facts).network.ports == {"webserver": {"http": 8443}}


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_guides_have_keys_of_the_site_file(text: str) -> None:
    said = tomllib.loads(text)
    assert said and Site.model_validate(said)


def test_the_guides_have_examples() -> None:
    assert len(EXAMPLES) > 10


def test_keys_are_found_by_their_path() -> None:
    assert reference.keys(("cache", "sentinel")) == ["service", "nodes", "password_file"]
    assert "path" in reference.keys(("storage", "volumes", "anything"))
    assert reference.kind(reference.at(("network", "ports", "x", "y"))).startswith("an integer")
    assert reference.kind(reference.at(("tls", "mode"))) == '"site-ca" or "own" or "off"'


def test_the_schema_is_json() -> None:
    assert json.loads(reference.json_schema())["additionalProperties"] is False
