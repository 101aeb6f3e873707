from __future__ import annotations

from pathlib import Path

import pytest

from devtools.bench_release import CORE, find_bundle, pexes, sizes, speeds
from release_tool.bundle import Bundle, Place
from releasekit.errors import Failure


def test_sizes_are_shares_of_the_plain_way() -> None:
    bundle = object.__new__(Bundle)
    bundle.places = {
        "apt/pool/main/backendai-agent_1_amd64.deb": Place(Path("x"), 0, 20_000_000),
        "rpm/packages/backendai-agent-1-1.x86_64.rpm": Place(Path("x"), 0, 15_000_000),
        "images/blobs/sha256/ab": Place(Path("x"), 0, 9_000_000),
        "MANIFEST": Place(Path("x"), 0, 5_000_000),
    }
    rows = {
        line.split("|")[1].strip(): line
        for line in sizes(bundle, 59_000_000, {"a": 100_000_000}).split("\n")
    }
    assert "100.0 MB" in rows["1 PEXes: the plain way"]
    assert "0.59" in rows["bundle"]
    assert "9.0 MB" in rows["images of sessions"]
    assert "15.0 MB" in rows["the rest: indices, SBOM, licences"]
    assert "0.44" in rows["without rpms, as the bundle of debs is"]


def test_times_are_held_against_the_plain_programs() -> None:
    text = speeds({"tar": [2.0, 3.0], "sha256sum": [4.0, 4.5], "verify.sh": [5.0, 6.0]})
    rows = {line.split("|")[1].strip(): line for line in text.split("\n")}
    assert "1.25" in rows["verify.sh"]
    assert "1.17" in rows["tar, then verify.sh"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="0 bundles"):
        find_bundle(tmp_path)
    with pytest.raises(Failure, match=f"backendai-{CORE[0]}.pex"):
        pexes(tmp_path)
