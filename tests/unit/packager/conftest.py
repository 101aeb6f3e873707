"""The fixture of the backend's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parents[2] / "src"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from miniature import Miniature, make_miniature  # noqa: E402


@pytest.fixture()
def miniature(tmp_path: Path) -> Miniature:
    return make_miniature(tmp_path)
