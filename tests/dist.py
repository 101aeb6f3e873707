"""Where the artefacts under test are: --dist DIR, else $BACKENDAI_DIST, else dist/ of the repository."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NoReturn

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def add_option(parser: pytest.Parser) -> None:
    """Add ``--dist``; another suite may have added it, then there is nothing to do."""
    with contextlib.suppress(ValueError):
        parser.addoption("--dist", help="folder of the packages under test (default: dist/)")


def folder(config: pytest.Config) -> Path:
    """The folder of artefacts, which need not exist."""
    # pytest-xdist has an option of that name; its values are no folders.
    for given in (config.getoption("--dist", default=None), os.environ.get("BACKENDAI_DIST")):
        if given and Path(given).is_dir():
            return Path(given).resolve()
    return REPOSITORY / "dist"


def unavailable(reason: str) -> NoReturn:
    """Skip; or fail where artefacts must be there (BACKENDAI_REQUIRE_DIST=1)."""
    if os.environ.get("BACKENDAI_REQUIRE_DIST") == "1":
        pytest.fail(f"BACKENDAI_REQUIRE_DIST=1, but {reason}", pytrace=False)
    pytest.skip(reason)
