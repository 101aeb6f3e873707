from __future__ import annotations

from pathlib import Path

from devtools.cache import share_inputs


def test_locked_files_are_linked_and_derived_ones_are_left_out(tmp_path: Path) -> None:
    cache, target = tmp_path / "cache", tmp_path / "new"
    for digest in ("aa", "bb"):
        (cache / "files" / digest).mkdir(parents=True)
        (cache / "files" / digest / "wheel.whl").write_text(digest)
    (cache / "files/aa/.unfinished").write_text("")
    (cache / "drift").mkdir()
    (cache / "drift/cc.json").write_text("{}")
    (cache / "venvs/pants").mkdir(parents=True)
    assert share_inputs(cache, target, without={"bb"}) == 1
    found = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert found == ["drift/cc.json", "files/aa/wheel.whl"]
    assert (target / "files/aa/wheel.whl").samefile(cache / "files/aa/wheel.whl")
