from __future__ import annotations

import functools
import importlib.util
import marshal
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from releasekit.bytecode import compile_tree
from releasekit.errors import Failure


def compiled(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*.pyc"))}


def make(root: Path) -> Path:
    (root / "pkg").mkdir(parents=True)
    (root / "pkg/__init__.py").write_text("def f():\n    return {'a', 'b', 'c'}\n")
    (root / "pkg/m.py").write_text("x = 1\n")
    return root


def test_bytes_do_not_depend_on_folder_or_jobs(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "elsewhere/two")
    compile_tree(one, shown_as="/opt/x", jobs=1)
    compile_tree(two, shown_as="/opt/x", jobs=2)
    assert compiled(one) == compiled(two) != {}


def test_bytes_do_not_depend_on_how_the_library_was_loaded(tmp_path: Path) -> None:
    """functools is loaded in every compiling process: from its own byte-code, or from its source."""
    program = (
        "import functools, pathlib, sys; sys.pycache_prefix = None;"
        "from releasekit.bytecode import compile_tree;"
        "compile_tree(pathlib.Path(sys.argv[1]), shown_as='/opt/x')"
    )
    source = Path(functools.__file__).read_text()
    for name in ("loaded", "compiled"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "functools.py").write_text(source)
        empty = {"PYTHONPYCACHEPREFIX": str(tmp_path / "none")} if name == "compiled" else {}
        call = [sys.executable, "-c", program, str(tmp_path / name)]
        environment = {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            **empty,
        }
        subprocess.run(call, check=True, env=environment)
    made = [p.read_bytes() for p in sorted(tmp_path.rglob("functools.cpython-313.pyc"))]
    assert len(made) == 2 and made[0] == made[1]


def test_byte_code_is_unchecked_hash_and_names_the_installed_path(tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    compile_tree(root, shown_as="/opt/x")
    data = next(data for name, data in compiled(root).items() if "/m." in name)
    assert data[:8] == importlib.util.MAGIC_NUMBER + struct.pack("<I", 0b01)
    assert data[8:16] == importlib.util.source_hash((root / "pkg/m.py").read_bytes())
    assert marshal.loads(data[16:]).co_filename == "/opt/x/pkg/m.py"


def test_a_module_for_another_python_stays_a_source(tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    (root / "pkg/old.py").write_text("print 'x'\n")
    compile_tree(root, shown_as="/opt/x")
    assert (root / "pkg/old.py").exists()
    assert not [name for name in compiled(root) if "old" in name]


def test_a_tree_of_which_nothing_compiles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("print 'x'\n")
    with pytest.raises(Failure, match="no module could be compiled"):
        compile_tree(tmp_path, shown_as="/opt/x")


def test_a_tree_without_modules_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    compile_tree(tmp_path, shown_as="/opt/x")
    assert [p.name for p in tmp_path.iterdir()] == ["data"]
