"""What changed between two releases is read in their wheels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from devtools import upstream_changes
from releasekit.errors import Failure
from releasekit.files import Entry, Store, sha256_of
from releasekit.locks import PythonLock, Wheel

MODEL = """
class Db(Base):
    known: ClassVar[int] = 1
    _cache: int
    host: str
    port: int = 5432
    name: Annotated[str, Field(default="x"), Meta(description="...")]
    user: Annotated[str, Field(validation_alias=AliasChoices("user"))]
    {more}
    pool: list[int] = Field(default_factory=list)
    size: int = Field(...)
"""


def test_a_setting_is_required_where_nothing_gives_a_default() -> None:
    found = upstream_changes.settings(MODEL.format(more="old: int | None = None"), "config.py")
    assert found == {
        "config.py Db.host": True,
        "config.py Db.port": False,
        "config.py Db.name": False,
        "config.py Db.user": True,
        "config.py Db.old": False,
        "config.py Db.pool": False,
        "config.py Db.size": True,
    }


def test_entry_points_are_told_with_their_group() -> None:
    text = "[backendai_cli_v10]\nmgr = ai.manager:main\n\n[other]\na = b:c\n"
    assert upstream_changes.entry_points(text) == {
        "backendai_cli_v10 mgr = ai.manager:main",
        "other a = b:c",
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "files")


def release(store: Store, folder: Path, version: str, files: dict[str, str]) -> PythonLock:
    """A lock with one wheel of that release, which is in the store."""
    path = folder / f"backend_ai_manager-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    entry = Entry(version, path.name, sha256_of(path), path.stat().st_size)
    store.add(entry, path)
    return PythonLock(
        "3.13", "", {"backend-ai-manager": Wheel(**vars(entry), requires=(), extras={})}
    )


def test_each_kind_of_change_is_listed_by_name(store: Store, tmp_path: Path) -> None:
    of = "ai/backend/manager"
    old = release(
        store,
        tmp_path,
        "1",
        {
            f"{of}/config/unified.py": MODEL.format(more="old: int"),
            f"{of}/models/alembic/versions/aa_first.py": "",
            f"{of}/fixtures/users.json": "{}",
            f"{of}/fixtures/roles.json": "{}",
            "backend_ai_manager-1.dist-info/entry_points.txt": "[g]\na = b\n",
        },
    )
    new = release(
        store,
        tmp_path,
        "2",
        {
            f"{of}/config/unified.py": MODEL.format(more="new: int").replace("= 5432", ""),
            f"{of}/models/alembic/versions/aa_first.py": "",
            f"{of}/models/alembic/versions/bb_second.py": "",
            f"{of}/fixtures/users.json": "{1}",
            "backend_ai_manager-2.dist-info/entry_points.txt": "[g]\na = b\nc = d\n",
        },
    )
    lines = list(upstream_changes.between(old, new, store))
    told = [line.strip() for line in lines if line.startswith("  ")]
    assert told == [
        "manager/config/unified.py Db.new",
        "manager/config/unified.py Db.old",
        "manager/config/unified.py Db.port",
        "manager/models/alembic/versions/bb_second.py",
        "g c = d",
        "manager/fixtures/roles.json (gone)",
        "manager/fixtures/users.json (changed)",
    ]
    assert "settings that are required now: 1" in lines and "entry points that are gone: 0" in lines


def test_a_wheel_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    lock = release(Store(tmp_path / "elsewhere"), tmp_path, "1", {})
    with pytest.raises(
        Failure, match=r"backend_ai_manager-1-py3-none-any\.whl is not in the cache"
    ):
        list(upstream_changes.between(lock, lock, store))
