from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from releasekit.errors import Failure
from releasekit.model import File
from releasekit.report import Spec, render, write
from releasekit.report_data import Listed, changes, summary
from releasekit.report_sizes import HEIGHT, WIDTH, Item, human, tiles

ROOT = Path(__file__).resolve().parents[3]
EVIL = '"><script>alert(1)</script>'
PACKAGES = f"""\
Package: backendai-agent
Version: 1-1
Installed-Size: 20
Filename: pool/main/backendai-agent_1-1_amd64.deb
Size: 9000
Description: the agent {EVIL}
 more of it

Package: etcd
Version: 3
Size: 500
Description: a store
"""


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    """A page from small inputs in `tmp_path`."""
    part = {"name": EVIL, "version": "1", "type": "npm", "license": "MIT", "packages": ["a&b"]}
    files: dict[str, Any] = {
        "licenses.json": {"components": [{**part, "texts": ["texts/a.txt"]}]},
        "exposure.json": {"host": "x", "limit": 1.2, "units": {"a": 1.1, "b": 1.2}, "set_up": {}},
    }
    for name, data in files.items():
        (tmp_path / name).write_text(json.dumps(data))
    (tmp_path / "Packages").write_text(PACKAGES)
    names = {"name": "X", "homepage": "https://example.com", "architecture": "amd64"}
    return Spec(
        release={**names, "version": "1-1", "number": 2, "date": "2026-01-01", "changes": ["new"]},
        signing={"kind": "given", "fingerprint": "AB" * 20},
        files=(
            File("rpm/packages/backendai-agent-1-1.x86_64.rpm", "1" * 64, 8000),
            File("apt/pool/main/backendai-agent_1-1_amd64.deb", "2" * 64, 9000),
            File("apt/pool/main/etcd_3_amd64.deb", "3" * 64, 500),
        ),
        packages=str(tmp_path / "Packages"),
        licenses=str(tmp_path / "licenses.json"),
        previous="",
        reproducibility="",
        exposure=str(tmp_path / "exposure.json"),
        templates=str(ROOT / "packaging/report"),
        output=str(tmp_path / "out"),
    )


def test_texts_are_escaped_wherever_they_come_from(spec: Spec) -> None:
    page = render(spec)
    assert EVIL not in page
    assert page.count("<script>") == 1  # its own
    assert "a&amp;b" in page


def test_the_page_needs_nothing_else(spec: Spec) -> None:
    page = render(spec)
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    loaded = [link for link in links if not link.startswith(("#", "../", "data:"))]
    assert loaded == ["https://example.com"]  # a link to follow, nothing that is fetched
    assert not re.search(r"@import|url\(", page)
    assert "default-src 'none'" in page


def test_absent_measurements_are_said_to_be_absent(spec: Spec) -> None:
    page = render(Spec(**{**spec.__dict__, "exposure": ""}))
    assert page.count("Not measured for this release.") == 2
    assert "No earlier release was at hand" in page


def test_measurements_are_shown_with_their_commit(spec: Spec, tmp_path: Path) -> None:
    path = tmp_path / "reproducibility.json"
    result = {"date": "2026-01-02", "commit": "c" * 40, "artefacts": 9, "identical": 8}
    path.write_text(json.dumps({**result, "how": "twice", "varied": ["clock"]}))
    page = render(Spec(**{**spec.__dict__, "reproducibility": str(path)}))
    assert "8 of 9" in page and "c" * 40 in page
    assert "were built twice" in page and "<dt>Varied</dt><dd>clock</dd>" in page
    assert "not counted in it" in page


def test_a_rebuild_of_what_was_shipped_is_told_apart(spec: Spec, tmp_path: Path) -> None:
    path = tmp_path / "reproducibility.json"
    result = {"date": "2026-01-02", "commit": "c" * 40, "artefacts": 9, "identical": 9}
    path.write_text(json.dumps({**result, "how": "shipped", "varied": []}))
    page = render(Spec(**{**spec.__dict__, "reproducibility": str(path)}))
    assert "of a shipped bundle were built again" in page
    assert "<dt>Varied</dt>" not in page


def test_the_page_is_the_same_each_time_and_leaves_a_summary(spec: Spec, tmp_path: Path) -> None:
    write(spec)
    page = (tmp_path / "out/index.html").read_bytes()
    turned = Spec(**{**spec.__dict__, "files": spec.files[::-1]})
    write(turned)
    assert (tmp_path / "out/index.html").read_bytes() == page
    kept = json.loads((tmp_path / "out/summary.json").read_text())
    assert kept["packages"]["backendai-agent"] == {"version": "1-1", "deb": 9000, "rpm": 8000}


def test_images_of_sessions_have_a_colour_of_their_own(spec: Spec) -> None:
    images = (
        File("images/blobs/sha256/ab", "4" * 64, 7000),
        File("images/index.json", "5" * 64, 1000),
        File("docs/images/x.md", "6" * 64, 500),
    )
    page = render(Spec(**{**spec.__dict__, "files": (*spec.files, *images)}))
    assert re.search(
        r'<i class="images"></i>Images of sessions: <\w[^>]*>8.0 kB</\w+> in 2</li>', page
    )
    assert page.count('<rect class="images"') == 2 and page.count('<rect class="rest"') == 1
    style = (ROOT / "packaging/report/style.css").read_text()
    assert style.count("--images:") == style.count("--rest:") == 2, "for light and for dark"


def test_a_release_before_is_compared_with(spec: Spec, tmp_path: Path) -> None:
    write(spec)
    before = json.loads((tmp_path / "out/summary.json").read_text())
    before["packages"]["etcd"]["version"] = "2"
    before["release"]["version"] = "0.9-1"
    (tmp_path / "before.json").write_text(json.dumps(before))
    page = render(Spec(**{**spec.__dict__, "previous": str(tmp_path / "before.json")}))
    assert "Compared with 0.9-1" in page and "1 packages added" in page


def test_broken_data_is_named(spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "exposure.json").write_text("{")
    with pytest.raises(Failure, match=r"exposure\.json"):
        render(spec)
    (tmp_path / "exposure.json").write_text('{"units": {"a": 1.0}}')
    with pytest.raises(Failure, match="limit"):
        render(spec)


def test_a_package_that_only_got_the_new_version_is_as_it_was() -> None:
    def made(version: str, **sizes: int) -> dict[str, Any]:
        found = [Listed(name, version, "", size, 0, 0) for name, size in sizes.items()]
        row = {"version": version, "number": 1, "date": ""}
        return summary(row, found, [{"type": "pypi", "name": "a", "version": version}])

    before = made("1-1", **{"backendai-a": 10_000, "backendai-b": 10_000, "gone": 5})
    now = made("2-1", **{"backendai-a": 10_050, "backendai-b": 12_000, "new": 5})
    rows, parts, same = changes(before, now)
    assert [(row.name, row.kind) for row in rows] == [
        ("backendai-b", "changed"),
        ("gone", "removed"),
        ("new", "added"),
    ]
    assert same == 1
    assert [(part.name, part.before, part.now) for part in parts] == [("a", "1-1", "2-1")]


def test_areas_of_the_treemap_are_in_proportion_across_groups() -> None:
    items = [Item("a", "one", 600), Item("b", "one", 100), Item("c", "two", 300)]
    for tile in tiles(items):
        assert tile.box.area == pytest.approx(WIDTH * HEIGHT * tile.item.size / 1000)


def test_small_files_share_a_tile_and_none_is_lost() -> None:
    items = [Item("big", "g", 1_000_000), *(Item(str(n), "g", n + 1) for n in range(50))]
    found = tiles(items)
    assert [tile.item.name for tile in found] == ["big", "50 smaller files"]
    assert sum(tile.item.size for tile in found) == sum(item.size for item in items)


def test_sizes_read_well() -> None:
    texts = [human(size) for size in (0, 999, 1000, 99_960, 1_500_000, 999_900_000, 3e9)]
    assert texts == ["0 B", "999 B", "1.0 kB", "100.0 kB", "1.5 MB", "1.00 GB", "3.00 GB"]
