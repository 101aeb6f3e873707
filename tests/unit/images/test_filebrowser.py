"""The image of the file browser serves what is mounted, with the rights of the mount, and nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "packaging/images/filebrowser/serve.py"
ROW = "36 35 98:0 /{root} {point} {options} master:1 - ext4 /dev/root rw"


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, for a home below tmp_path with folders that could be mounted, and a file."""
    spec = importlib.util.spec_from_file_location("serve", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HOME", str(tmp_path))
    for name in ("data", "my data", ".local"):
        (tmp_path / name).mkdir()
    (tmp_path / "key.pem").touch()
    return module


def table(home: Path, **mounts: str) -> str:
    """What a kernel tells: {name below home, with `_` for its blank: options}."""
    rows = [("", "rw,relatime"), *mounts.items()]
    points = [(f"{home}/{name}".rstrip("/").replace("my_", "my\\040"), o) for name, o in rows]
    return "\n".join(ROW.format(root="x", point=point, options=o) for point, o in points)


def test_one_folder_is_seen_at_once(serve: ModuleType, tmp_path: Path) -> None:
    found = serve.mounted(table(tmp_path, data="rw,relatime"))
    assert serve.volumes(found) == [f"{tmp_path}/data::rwmd."]


def test_several_have_their_names_and_each_its_rights(serve: ModuleType, tmp_path: Path) -> None:
    found = serve.mounted(table(tmp_path, data="ro,relatime", my_data="rw"))
    assert serve.volumes(found) == [f"{tmp_path}/data:data:r.", f"{tmp_path}/my data:my data:rwmd."]


def test_what_is_no_folder_of_the_user_is_not_served(serve: ModuleType, tmp_path: Path) -> None:
    rows = table(tmp_path, **{".local": "rw", "key.pem": "rw"})
    assert serve.mounted(f"{rows}\n{table(Path('/opt'), kernel='ro')}") == {}


def test_without_a_folder_nothing_is_served(
    serve: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it would serve the folder that it is started in."""
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("it was started"))
    monkeypatch.setattr("sys.argv", ["serve.py", "8100"])
    with pytest.raises(SystemExit, match="no folder is mounted below"):
        serve.main()
