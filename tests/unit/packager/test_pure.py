"""The parts of the backend that need no Pants to run: reading the release table, values, drift, owners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pants.engine.target import InvalidFieldException

from packager import drift, manifest, own, release, values
from packager.kit import kit_of
from packager.render import render
from releasekit.closure import closure
from releasekit.errors import Failure
from releasekit.model import File

REPOSITORY = Path(__file__).resolve().parents[3]
TABLE = (REPOSITORY / "packaging/release.toml").read_text("utf-8")


def test_the_table_of_the_repository_reads() -> None:
    table = release.parse(TABLE)
    assert table.full_version.startswith(f"{table.version}-")
    assert table.fill("{current}/x") == "/opt/backendai/current/x"
    assert table.mtime % 60 == 0


def test_a_missing_key_of_the_table_is_named() -> None:
    with pytest.raises(Failure, match=r"release.toml: \[user\] has no `uid`"):
        release.parse(TABLE.replace("uid = 1100", ""))
    with pytest.raises(Failure, match=r"\[release\] has no `number`"):
        release.parse(TABLE.replace("\nnumber = ", "\nno_number = "))


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"uses": ["valky"]}, "`uses` names `valky`"),
        ({"calls": {"manager:apis": "each"}}, "`calls` names `manager:apis`"),
        ({"calls": {"manger:api": "each"}}, "`calls` names `manger:api`"),
        ({"serves": {"http": "users"}}, "`serves` names `http`"),
    ],
)
def test_a_service_or_port_that_is_nowhere_is_named_with_a_cure(
    declared: dict[str, Any], said: str
) -> None:
    services = {"manager": {"api": 1}, "valkey": {"clients": 2}, "new": {"api": 3}}
    own.refuse_unknown("x:facts", {"ports": {"api": 3}, "uses": ["valkey"]}, services)
    with pytest.raises(Failure, match=f"^x:facts: {said}") as failure:
        own.refuse_unknown("x:facts", {"ports": {"api": 3}, **declared}, services)
    assert failure.value.hint.startswith(("did you mean `", "known: api"))


def test_broken_toml_is_reported_with_its_file() -> None:
    with pytest.raises(Failure, match=r"packaging/release\.toml"):
        release.parse("[release\n")


def test_values_keep_their_nesting_and_refuse_what_is_no_data() -> None:
    frozen = values.freeze({"a": [1, {"b": None}]}, where="x")
    assert frozen["a"][1]["b"] is None
    assert values.thaw(frozen) == {"a": [1, {"b": None}]}
    with pytest.raises(InvalidFieldException, match=r"x\.a"):
        values.freeze({"a": object()}, where="x")


def test_a_syntax_error_in_a_template_is_named_with_its_line() -> None:
    with pytest.raises(Failure, match=r"t\.j2:2: .*rendered for here"):
        render(
            "\n{% if %}", template="t.j2", wanted_by="here", release=release.parse(TABLE), values={}
        )


LOCKED = {"version": "1", "filename": "x_1.deb", "sha256": "a" * 64, "size": 1}
USED = {"version": "2", "filename": "x_2.deb", "sha256": "b" * 64, "size": 1}


def record_drift(cache: Path) -> None:
    (cache / "drift").mkdir()
    (cache / "drift" / f"{'a' * 64}.json").write_text(json.dumps({"locked": LOCKED, "used": USED}))


def test_a_locked_package_in_the_cache_is_used_even_after_a_drift(tmp_path: Path) -> None:
    record_drift(tmp_path)
    (tmp_path / "files" / ("a" * 64)).mkdir(parents=True)
    (tmp_path / "files" / ("a" * 64) / "x_1.deb").touch()
    assert drift.used_entry(str(tmp_path), LOCKED) == LOCKED


def test_drift_is_used_and_recorded(tmp_path: Path) -> None:
    record_drift(tmp_path)
    used = drift.used_entry(str(tmp_path), LOCKED)
    assert used == USED
    row = drift.row("trixie/x", LOCKED, used)
    assert row["version"] == "2"
    assert row["drifted_from"] == f"1 (sha256 {'a' * 64})"


def test_the_manifest_lists_artefacts_and_drift() -> None:
    rows: list[dict[str, Any]] = [{"package": "a"}, {"package": "b", "drifted_from": "1"}]
    made = manifest.manifest(release.parse(TABLE), [File("x.deb", "ff", 3)], rows)
    assert made["artefacts"] == {"x.deb": {"sha256": "ff", "size": 3}}
    assert made["drift"] == [{"package": "b", "drifted_from": "1"}]


def test_owners_of_different_paths_are_fine() -> None:
    manifest.check_owners([("a", ["/x"]), ("b", ["/y"])])


def test_a_program_is_made_of_what_it_imports_and_of_nothing_else() -> None:
    sources = {
        "__init__": "",
        "errors": "",
        "files": "from releasekit.errors import Failure\nimport releasekit.spdx\n",
        "spdx": "import json, license_expression\nfrom packageurl.x import y\n",
        "other": "from releasekit import files\n",
        "tool": "def main():\n    from releasekit import files, absent\n",
    }
    kit = kit_of(sources, "tool", {"license-expression", "packageurl-python", "other"})
    assert kit.modules == ("__init__", "errors", "files", "spdx", "tool")
    assert kit.libraries == ("license-expression", "packageurl-python")
    with pytest.raises(Failure, match="no program `absent`"):
        kit_of(sources, "absent", ())


def test_every_library_of_a_program_is_locked() -> None:
    sources = {path.stem: path.read_text() for path in (REPOSITORY / "src/releasekit").glob("*.py")}
    lock = json.loads((REPOSITORY / "packaging/locks/tools.lock").read_text("utf-8"))
    group = lock["groups"]["build"]["packages"]
    found = {name for program in sources for name in kit_of(sources, program, group).libraries}
    assert "cyclonedx-python-lib[json-validation]" in found
    needed = closure(group, found, wanted_by="a test")
    assert {"createrepo-c", "installer", "jinja2", "markupsafe", "rpds-py"} <= needed
