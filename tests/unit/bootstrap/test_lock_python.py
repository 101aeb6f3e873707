from __future__ import annotations

from pathlib import Path

import pytest
import tomllib

from bootstrap.interpreters import RELEASE_PYTHON
from bootstrap.lock_python import (
    component_roots,
    lock_data,
    lock_packages,
    of_others,
    own_imports,
    site_wheels,
    unpacked_roots,
)
from bootstrap.resolve import Resolved
from bootstrap.sdist import BuiltSdist
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import PythonLock, Wheel

ROOT = Path(__file__).resolve().parents[3]
RELEASE = '[release]  # table\nversion = "26.9.6"  # all\n\n[inputs]\nnode-x = "24.1"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "packaging").mkdir()
    (tmp_path / "packaging/release.toml").write_text(RELEASE)
    return tmp_path


def component(checkout: Path, name: str, text: str) -> None:
    folder = checkout / "packaging/components" / name
    folder.mkdir(parents=True)
    (folder / "BUILD").write_text(text)


def test_the_roots_come_from_the_components(checkout: Path) -> None:
    component(checkout, "a", 'c(name="a", distributions=["x.manager", "extra==1.5"], n=1)\n')
    component(checkout, "b", 'c(distributions=["Node_X", "x.manager"])\nd(distributions=["y[z]"])')
    assert component_roots(checkout) == [
        "Node_X==24.1",
        "extra==1.5",
        "x.manager==26.9.6",
        "y[z]==26.9.6",
    ]


def test_backend_ai_itself_follows_the_release_and_is_not_kept() -> None:
    wheel = Wheel("1", "a-1-py3-none-any.whl", "0" * 64, 1)
    lock = PythonLock("", "", {"backend-ai-manager": wheel, "aiohttp": wheel})
    assert of_others(lock.packages) == {"aiohttp": wheel}


def test_a_wheel_beside_the_build_file_is_asked_of_no_index(checkout: Path) -> None:
    component(checkout, "npu", 'c(distributions=["x.agent", "Acme.Npu"])')
    wheel = checkout / "packaging/components/npu/acme_npu-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    assert component_roots(checkout) == ["x.agent==26.9.6"]
    assert site_wheels(checkout) == {"acme-npu": wheel}
    assert site_wheels(ROOT) == {}


def test_our_own_imports_and_unpacked_wheels_come_from_the_other_build_files(
    checkout: Path,
) -> None:
    component(checkout, "a", 'c(distributions=["x"])')
    (checkout / "packaging/ctl").mkdir()
    text = 'w(imports=["click", "rich"])\ns(unpacked_wheel="data", name="y")\n'
    (checkout / "packaging/ctl/BUILD").write_text(text)
    assert component_roots(checkout) == ["click", "rich", "x==26.9.6"]
    assert own_imports(checkout) == {"click", "rich"}
    assert unpacked_roots(checkout) == ["data==26.9.6"]


def test_the_launcher_assembles_the_python_that_the_release_names() -> None:
    table = tomllib.loads((ROOT / "packaging/release.toml").read_text("utf-8"))
    assert table["python"]["version"] == RELEASE_PYTHON


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("c(distributions=", "BUILD:1: not valid BUILD syntax"),
        ('c(distributions=["a"] + OTHER)', "must be a plain list of strings"),
        ("c(distributions=[1])", "must be a plain list of strings"),
        ("c()", "name no distributions"),
        ('c(distributions=["a b"])', "not a requirement"),
    ],
)
def test_a_component_that_cannot_be_read_is_a_clear_error(
    checkout: Path, text: str, complaint: str
) -> None:
    component(checkout, "a", text)
    with pytest.raises(Failure, match=complaint):
        component_roots(checkout)


def test_a_release_without_version_is_a_clear_error(checkout: Path) -> None:
    (checkout / "packaging/release.toml").write_text("[other]\nversion = '1'\n")
    with pytest.raises(Failure, match=r"table \[release\] has no version"):
        component_roots(checkout)


def test_the_repository_has_roots() -> None:
    roots = component_roots(ROOT)
    assert [root for root in roots if root.startswith("backend.ai-manager==")]
    assert {"click", "pydantic"} <= set(roots)  # what our own code imports, in any version
    table = tomllib.loads((ROOT / "packaging/release.toml").read_text("utf-8"))
    assert unpacked_roots(ROOT) == [f"backend.ai-install=={table['release']['version']}"]


def test_an_entry_holds_evaluated_requirements_and_known_extras_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "bootstrap.lock_python.evaluated",
        lambda library, environment, requires: (["b"], {"x": ["b"], "y": ["absent"]}),
    )
    found = {name: Resolved(name, "1", f"{name}.whl", "0" * 64, ()) for name in ("a", "b")}
    entry = Entry("1", "b.whl", "0" * 64, 5)
    built = BuiltSdist(Entry("1", "a.tar.gz", "1" * 64, 6), Entry("1", "a.whl", "2" * 64, 7))
    packages = lock_packages(found, {"b": entry}, {"a": built}, Path("/none"), {})
    data = lock_data(packages, {"c": entry})
    assert data["unpacked"] == {"c": vars(entry)}
    raw = data["packages"]
    assert raw["a"]["extras"] == {"x": ["b"]}
    assert raw["a"]["sdist"] == {"filename": "a.tar.gz", "sha256": "1" * 64, "size": 6}
    assert (raw["a"]["sha256"], raw["b"]["size"]) == ("2" * 64, 5)
    assert "sdist" not in raw["b"]
