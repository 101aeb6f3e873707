from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("installer")

from releasekit.errors import Failure
from releasekit.prune import Rule
from releasekit.wheels import Installed, install_wheel, lay_out, renew_record

MakeWheel = Callable[..., Path]
Digest = Callable[[bytes], str]
SHOWN = "/opt/x/1"
SITE = "lib/python3.13/site-packages"


def install(wheel: Path, environment: Path, *rules: Rule) -> Installed:
    return install_wheel(wheel, environment, python="3.13", shown_as=SHOWN, rules=rules)


def record(installed: Installed) -> dict[str, tuple[str, str]]:
    rows = csv.reader((installed.info / "RECORD").read_text().splitlines())
    return {path: (sha256, size) for path, sha256, size in rows}


def test_scripts_start_the_interpreter_of_the_host_isolated(
    tmp_path: Path, make_wheel: MakeWheel, digest: Digest
) -> None:
    entry = b"[console_scripts]\nrun = a:main\n"
    wheel = make_wheel(tmp_path, "a", {"a.py": b"", "a-1.0.dist-info/entry_points.txt": entry})
    installed = install(wheel, tmp_path / "env")
    script = tmp_path / "env/bin/run"
    assert script.read_bytes().startswith(b"#!/opt/x/1/bin/python -I\n")
    assert script.stat().st_mode & 0o777 == 0o755
    assert record(installed)["../../../bin/run"] == (
        digest(script.read_bytes()),
        str(script.stat().st_size),
    )


def test_scripts_of_a_wheel_are_isolated_too_and_others_left_alone(
    tmp_path: Path, make_wheel: MakeWheel
) -> None:
    files = {
        "a-1.0.data/scripts/one": b"#!python\nprint(1)\n",
        "a-1.0.data/scripts/two": b"#!/bin/sh\n:\n",
    }
    install(make_wheel(tmp_path, "a", files), tmp_path / "env")
    assert (tmp_path / "env/bin/one").read_bytes() == b"#!/opt/x/1/bin/python -I\nprint(1)\n"
    assert (tmp_path / "env/bin/two").read_bytes() == b"#!/bin/sh\n:\n"


def test_no_path_of_the_build_is_in_any_file(tmp_path: Path, make_wheel: MakeWheel) -> None:
    entry = b"[console_scripts]\nrun = a:main\n"
    wheel = make_wheel(tmp_path, "a", {"a.py": b"", "a-1.0.dist-info/entry_points.txt": entry})
    install(wheel, tmp_path / "env")
    files = [p for p in (tmp_path / "env").rglob("*") if p.is_file()]
    assert files and not [p for p in files if str(tmp_path).encode() in p.read_bytes()]


def test_rules_find_a_distribution_whose_file_name_has_underscores(
    tmp_path: Path, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel(tmp_path, "a_b", {"a_b/x.py": b"", "a_b/x.map": b"", "a_b/y/z.map": b""})
    installed = install(wheel, tmp_path / "env", Rule("a-b", "a_b/**/*.map", "maps"))
    assert installed.name == "a-b"
    site = tmp_path / "env" / SITE
    assert (site / "a_b/x.py").exists()
    assert not (site / "a_b/x.map").exists()
    assert not (site / "a_b/y").exists(), "an empty folder stays behind"
    assert [path for path in record(installed) if path.endswith(".map")] == []


def test_record_lists_exactly_what_is_there(tmp_path: Path, make_wheel: MakeWheel) -> None:
    files = {"a.py": b"x = 1\n", "a-1.0.data/headers/a.h": b"", "a-1.0.data/data/share/a": b"1"}
    installed = install(make_wheel(tmp_path, "a", files), tmp_path / "env")
    site = tmp_path / "env" / SITE
    listed = {Path(os.path.normpath(site / path)) for path in record(installed)}
    assert listed == {p for p in (tmp_path / "env").rglob("*") if p.is_file()}
    assert list(record(installed)) == sorted(record(installed))


def test_record_can_be_renewed_after_a_change_on_purpose(
    tmp_path: Path, make_wheel: MakeWheel, digest: Digest
) -> None:
    installed = install(make_wheel(tmp_path, "a", {"a/bin/x": b"old"}), tmp_path / "env")
    site = tmp_path / "env" / SITE
    (site / "a/bin/x").write_bytes(b"newer")
    renew_record(site, "a/bin/x")
    assert record(installed)["a/bin/x"] == (digest(b"newer"), "5")


def test_renewing_what_no_distribution_lists_is_refused(
    tmp_path: Path, make_wheel: MakeWheel
) -> None:
    install(make_wheel(tmp_path, "a", {"a.py": b""}), tmp_path / "env")
    with pytest.raises(Failure, match="no RECORD lists it"):
        renew_record(tmp_path / "env" / SITE, "b.py")


def test_a_wheel_is_laid_out_as_it_is_by_the_folders_that_are_given(
    tmp_path: Path, make_wheel: MakeWheel
) -> None:
    """Nothing is pruned and no script isolated: that is a matter of environments of ours."""
    entry = b"[console_scripts]\nrun = a:main\n"
    files = {
        **{"a.py": b"", "tests/x.map": b"", "a_b-1.0.data/data/etc/a": b"1"},
        **{"a_b-1.0.data/headers/a.h": b"", "a_b-1.0.dist-info/entry_points.txt": entry},
    }
    folders = {"purelib": "site", "platlib": "site", "scripts": "bin", "data": "d", "headers": "h"}
    scheme = {name: tmp_path / folder for name, folder in folders.items()}
    made = lay_out(make_wheel(tmp_path, "a_b", files), scheme, "/usr/bin/python3")
    assert (made.name, made.version) == ("a-b", "1.0")
    assert made.info == tmp_path / "site/a_b-1.0.dist-info"
    assert (tmp_path / "bin/run").read_bytes().startswith(b"#!/usr/bin/python3\n")
    for path in ("site/a.py", "site/tests/x.map", "d/etc/a", "h/a.h"):
        assert (tmp_path / path).is_file(), path
    with pytest.raises(Failure, match=r"a_b-1\.0-py3-none-any\.whl: "):
        lay_out(make_wheel(tmp_path, "a_b", files), scheme, "/usr/bin/python3")


def test_one_file_of_two_distributions_is_refused_with_the_cure(
    tmp_path: Path, make_wheel: MakeWheel
) -> None:
    install(make_wheel(tmp_path, "a", {"same.py": b""}), tmp_path / "env")
    with pytest.raises(Failure, match=r"b-1\.0-py3") as caught:
        install(make_wheel(tmp_path, "b", {"same.py": b""}), tmp_path / "env")
    assert "prune.toml" in caught.value.hint


def test_a_file_that_is_no_wheel_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "a-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip")
    with pytest.raises(Failure, match=r"a-1\.0-py3-none-any\.whl: cannot be installed"):
        install(broken, tmp_path / "env")
