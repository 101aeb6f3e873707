from __future__ import annotations

from pathlib import Path

from devtools.bench_build import Build, Step, artefacts_of, changed, processes_of, sizes

LOG = """\
16:00:01.20 [INFO] Starting: Make backendai-client_26.9.6-1_amd64.deb
16:00:02.20 [INFO] Completed: Make backendai-client_26.9.6-1_amd64.deb
16:00:03.20 [INFO] Wrote dist/backendai-client_26.9.6-1_amd64.deb
"""


def test_only_processes_that_ran_are_counted() -> None:
    assert processes_of(LOG) == ("Make backendai-client_26.9.6-1_amd64.deb",)


def test_the_lists_of_all_artefacts_are_no_change_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "SHA256SUMS"
    path.write_text("aa  one.deb\nbb  two.deb\n")
    before = Build(1, (), artefacts_of(path))
    after = Build(1, (), {"one.deb": "aa", "two.deb": "cc", "release.json": "dd"})
    assert changed(before, after) == {"two.deb"}


def test_too_much_and_too_little_are_named() -> None:
    build = Build(1, (), {})
    assert Step("", build, frozenset({"a"}), frozenset({"a"})).verdict == "exactly"
    assert Step("", build, frozenset({"a"}), frozenset({"b"})).verdict == "missing: b; also: a"


def test_debs_are_measured_against_pexes_with_and_without_accelerators() -> None:
    text = sizes(
        {
            "agent.deb": 4_000_000,
            "agent.pex": 10_000_000,
            "accelerator-x.pex": 10_000_000,
            "agent.rpm": 9,
        }
    )
    assert [line.split("|")[4].strip() for line in text.splitlines()[2:]] == ["0.20", "0.40"]
