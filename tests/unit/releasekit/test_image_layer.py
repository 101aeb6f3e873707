from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from releasekit import specs
from releasekit.errors import Failure
from releasekit.image_layer import FACTS, LAYER, LayerFacts, LayerSpec, build, make

SOURCES = Path(__file__).resolve().parents[3] / "src"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"  # whose byte-code is made
LIB = "./usr/lib/x86_64-linux-gnu"
MODULES = f"usr/lib/python{PYTHON}"
SITE = f"usr/local/lib/python{PYTHON}/dist-packages"
Make = Callable[..., LayerFacts]
MakeDeb = Callable[..., Path]
MakeElf = Callable[..., bytes]
MakeWheel = Callable[..., Path]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the program is run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def deb(here: Path, make_deb: MakeDeb) -> Callable[..., str]:
    """deb(name, files, Depends="...", ...) -> its path; with the licence that each has."""

    def made(name: str, files: Mapping[str, bytes | str] = {}, **fields: str) -> str:
        content = {f"./usr/share/doc/{name}/copyright": b"License: MIT\n", **files}
        path = here / f"{name}_1.0_amd64.deb"
        given = {"Architecture": "amd64", "Maintainer": "A <a@b.example>", **fields}
        make_deb(path, content, package=name, fields=given)
        return path.name

    return made


@pytest.fixture
def layer(here: Path) -> Make:
    """layer(name, debs, ...) -> the facts of what lies in the folder of that name then."""

    def made(name: str, debs: list[str], **more: Any) -> LayerFacts:
        make(LayerSpec(name, PYTHON, debs, **{"wheels": [], **more}))
        (here / name).mkdir()
        for file in (LAYER, FACTS):
            (here / file).replace(here / name / file)
        return specs.read(LayerFacts, here / name / FACTS)

    return made


def inside(name: str) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(f"{name}/{LAYER}") as tar:
        return {info.name: info for info in tar}


def content(name: str, path: str) -> bytes:
    with tarfile.open(f"{name}/{LAYER}") as tar:
        found = tar.extractfile(path)
        assert found is not None
        return found.read()


def test_a_layer_is_told_by_its_digests_and_what_is_in_it(
    layer: Make, deb: Callable[..., str], make_elf: MakeElf
) -> None:
    facts = layer(
        "low",
        [
            deb("libx", {f"{LIB}/libx.so.1": make_elf(soname="libx.so.1")}),
            deb("base-files", {"./bin": "usr/bin"}),
        ],
    )
    data = Path("low", LAYER).read_bytes()
    assert (facts.digest, facts.size) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    assert facts.packages == {"base-files": "1.0", "libx": "1.0"}
    assert facts.libraries == {"libx.so.1": f"/{LIB[2:]}/libx.so.1"}
    assert facts.aliases == {"bin": "usr/bin"}
    assert b"libx.so.1" in content("low", "etc/ld.so.cache")


def test_a_layer_holds_only_what_those_below_it_lack_and_knows_them(
    layer: Make, deb: Callable[..., str], make_elf: MakeElf
) -> None:
    libx = deb("libx", {f"{LIB}/libx.so.1": make_elf(soname="libx.so.1")})
    low = layer("low", [libx, deb("base-files", {"./bin": "usr/bin"})])
    tool = deb("tool", {"./bin/tool": b"#!x"}, Depends="libx")
    high = layer("high", [tool], below=f"low/{FACTS}")
    assert high.packages == {"tool": "1.0"}
    assert "usr/bin/tool" in inside("high"), "the link of the layer below is followed"
    assert not [path for path in inside("high") if "libx" in path or path == "bin"]
    assert high.libraries == low.libraries and high.status.startswith(low.status)
    assert content("high", "etc/ld.so.cache") == content("low", "etc/ld.so.cache")
    lists = {path.rpartition("/")[2] for path in inside("high") if path.endswith(".list")}
    assert lists == {"tool.list"}


def test_a_package_that_needs_another_is_refused_without_it(
    layer: Make, deb: Callable[..., str]
) -> None:
    needs = deb("one", **{"Depends": "two (>= 2) | three", "Pre-Depends": "four"})
    four, given = deb("four"), deb("five", Provides="three (= 1)")
    with pytest.raises(Failure, match="image x: one needs two or three, which is not") as failure:
        layer("x", [needs, four])
    assert failure.value.hint == "run scripts/lock-debian --keep"
    layer("low", [four, given])
    layer("high", [needs], below=f"low/{FACTS}")


def test_a_module_that_needs_a_library_is_refused_without_it(
    layer: Make, deb: Callable[..., str], make_elf: MakeElf, make_wheel: MakeWheel, here: Path
) -> None:
    pytest.importorskip("installer")
    module = make_elf(needed=["libx.so.1", "libown.so", "libgone.so.2"])
    files = {"mod/m.so": module, "mod.libs/libown.so": make_elf()}
    wheel = make_wheel(here, "mod", files).name
    libx = deb("libx", {f"{LIB}/libx.so.1": make_elf(soname="libx.so.1")})
    layer("low", [libx])
    with pytest.raises(Failure) as failure:
        layer("high", [], wheels=[wheel], below=f"low/{FACTS}")
    assert f"image high: /{SITE}/mod/m.so needs libgone.so.2, which" in str(failure.value)
    assert "`debian` in the BUILD file" in failure.value.hint
    gone = deb("gone", {f"{LIB}/libgone.so.2": make_elf(soname="libgone.so.2")})
    layer("high", [gone], wheels=[wheel], below=f"low/{FACTS}")


def test_a_file_of_two_packages_is_refused(layer: Make, deb: Callable[..., str]) -> None:
    twice = [deb(name, {"./usr/bin/x": b""}) for name in ("two", "one")]
    with pytest.raises(Failure, match="usr/bin/x is in the Debian packages one and two"):
        layer("x", twice)


def test_what_no_session_reads_is_left_out_and_licences_stay(
    layer: Make, deb: Callable[..., str]
) -> None:
    left_out = [
        *("usr/share/man/man1/x.1.gz", "usr/share/locale/de/x.mo", "usr/share/info/x"),
        *("usr/share/doc/x/changelog.gz", "usr/lib/systemd/system/x.service", "etc/init.d/x"),
        *("etc/cron.daily/x", f"{MODULES}/EXTERNALLY-MANAGED"),
    ]
    given: dict[str, bytes | str] = {f"./{path}": b"" for path in left_out}
    layer("x", [deb("x", {**given, "./usr/bin/x": b"#!x"})])
    found = inside("x")
    assert not set(left_out) & set(found)
    assert {"usr/bin/x", "usr/share/doc/x/copyright"} <= set(found)
    assert content("x", "var/lib/dpkg/info/x.list").decode().splitlines() == [
        *("/.", "/usr/share/doc/x/copyright", "/usr/bin/x")
    ]


def test_an_image_leaves_more_out_of_packages_and_wheels_but_licences(
    layer: Make, deb: Callable[..., str], make_wheel: MakeWheel, here: Path
) -> None:
    pytest.importorskip("installer")
    wheel = make_wheel(here, "mod", {"mod/__init__.py": b"", "mod/tests/t.py": b"x = 1\n"}).name
    files: dict[str, bytes | str] = {"./usr/bin/tool": b"#!x", "./usr/share/tool/test": b"#!x"}
    layer("some", [deb("tool", files)], wheels=[wheel], without=["usr/local/*/tests/*"])
    found = set(inside("some"))
    assert {"usr/bin/tool", "usr/share/tool/test", f"{SITE}/mod/__init__.py"} <= found
    assert f"{SITE}/mod/tests/t.py" not in found, "nor is its byte-code there"
    layer("all", [deb("tool", files)], wheels=[wheel], without=["usr/share/*", "usr/local/lib/*"])
    found = {path for path, info in inside("all").items() if info.isreg()}
    assert {"usr/share/doc/tool/copyright", f"{SITE}/mod-1.0.dist-info/METADATA"} <= found
    assert not [path for path in found if f"{SITE}/mod/" in path or "share/tool" in path]


def test_what_is_left_out_in_vain_is_named(layer: Make, deb: Callable[..., str]) -> None:
    tool = deb("tool", {"./usr/bin/tool": b"#!x", "./usr/bin/tool-test": b"#!x"})
    with pytest.raises(Failure, match="image x: `without` names usr/bin/gone, but") as failure:
        layer("x", [tool], without=["usr/bin/*-test", "usr/bin/gone"])
    assert "mend the pattern" in failure.value.hint


def test_modules_of_debians_packages_are_compiled(layer: Make, deb: Callable[..., str]) -> None:
    """No script of theirs runs, and a session's user cannot write there."""
    layer("x", [deb("python3-mod", {"./usr/lib/python3/dist-packages/mod.py": b"x = 1\n"})])
    made = f"usr/lib/python3/dist-packages/__pycache__/mod.cpython-{PYTHON.replace('.', '')}.pyc"
    assert made in inside("x")


def test_wheels_are_where_debians_python_looks_and_compiled(
    layer: Make, make_wheel: MakeWheel, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("installer")
    monkeypatch.setattr("tempfile.tempdir", str(here))
    entry = b"[console_scripts]\nrun = mod:main\n"
    files = {
        "mod/__init__.py": b"def main(): pass\n",
        "mod-1.0.data/data/share/x": b"x",
        "mod-1.0.data/headers/mod.h": b"",
        "mod-1.0.dist-info/entry_points.txt": entry,
    }
    layer("x", [], wheels=[make_wheel(here, "mod", files).name])
    found = inside("x")
    assert found["usr/local/bin/run"].mode == 0o755
    assert content("x", "usr/local/bin/run").startswith(b"#!/usr/bin/python3\n")
    assert "usr/local/share/x" in found and not [path for path in found if path.endswith(".h")]
    compiled = f"{SITE}/mod/__pycache__/__init__.cpython-{PYTHON.replace('.', '')}.pyc"
    data = content("x", compiled)
    assert data[4] == 1, "its source is not looked at: the hash is there and unchecked"
    assert f"/{SITE}/mod/__init__.py".encode() in data
    regular = [path for path, info in found.items() if info.isreg()]
    assert not [path for path in regular if str(here).encode() in content("x", path)]


def test_files_and_links_of_an_image_are_put_over_those_of_packages(
    layer: Make, deb: Callable[..., str], here: Path
) -> None:
    (here / "mine").write_text("mine")
    (here / "program").write_text("#!/bin/sh\n")
    layer(
        "x",
        [deb("x", {"./etc/x.conf": b"its own", "./usr/bin/x": b"#!x"})],
        files={"etc/x.conf": "mine", "etc/y/z": "mine", "usr/bin/y": "program"},
        links={"usr/bin/z": "x"},
    )
    assert content("x", "etc/x.conf") == content("x", "etc/y/z") == b"mine"
    assert inside("x")["usr/bin/z"].linkname == "x"
    assert (inside("x")["etc/y/z"].mode, inside("x")["usr/bin/y"].mode) == (0o644, 0o755)


def test_dpkg_finds_its_list_and_the_files_of_it_whole(
    layer: Make, deb: Callable[..., str], here: Path
) -> None:
    if not shutil.which("dpkg"):
        pytest.skip("this machine has no dpkg")
    low = [
        deb("base-files", {"./bin": "usr/bin"}),
        deb("libx", {f"{LIB}/libx.so.1": b"x"}, **{"Multi-Arch": "same"}),
    ]
    layer("low", low)
    layer("high", [deb("tool", {"./bin/tool": b"#!x"}, Depends="libx")], below=f"low/{FACTS}")
    root = here / "root"
    for name in ("low", "high"):
        with tarfile.open(f"{name}/{LAYER}") as tar:
            tar.extractall(root, filter="tar")

    def dpkg(*words: str, program: str = "dpkg") -> str:
        argv = [program, f"--root={root}", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert not done.stderr
        return done.stdout

    rows = dpkg("-W", "-f", "${binary:Package} ${Version} ${Status}\n", program="dpkg-query")
    assert rows.splitlines() == [
        f"{name} 1.0 install ok installed" for name in ("base-files", "libx:amd64", "tool")
    ]
    assert dpkg("--audit") == dpkg("--verify") == ""
    assert dpkg("-S", "/bin/tool", program="dpkg-query") == "tool: /bin/tool\n"
    (root / "usr/bin/tool").write_text("changed")
    assert "5" in dpkg("--verify", "tool").split()[0]


@pytest.fixture
def sandbox(here: Path, deb: Callable[..., str], make_wheel: MakeWheel) -> Callable[..., Any]:
    """sandbox(...) -> the layer as the program of a build makes it, in a process of its own."""
    debs = [
        deb("base-files", {"./bin": "usr/bin", f"./{MODULES}/os.py": b"x = {'a', 'b', 'c'}\n"}),
        deb("tool", {"./usr/bin/tool": b"#!x"}),
        deb("aaa", {"./bin/aaa": b"#!x"}),
    ]
    modules = {f"mod/m{i}.py": b"def f(): return {'one', 'two', 'three'}\n" for i in range(9)}
    wheels = [make_wheel(here, "mod", modules).name, make_wheel(here, "other", {"o.py": b""}).name]
    (here / "f").write_text("f")

    def run(place: str, *, mask: int = 0o022, turn: int = 1, jobs: int = 1, seed: str = "0") -> Any:
        folder = here / place
        folder.mkdir(parents=True)
        for name in (*debs, *wheels, "f"):
            shutil.copy2(here / name, folder)
        files = dict([("etc/f", "f"), ("etc/e", "f")][::turn])
        spec = LayerSpec("x", PYTHON, debs[::turn], wheels[::turn], files=files, jobs=jobs)
        (folder / "spec.json").write_text(specs.text(spec))
        argv = [sys.executable, "-m", "releasekit.image_layer", "spec.json"]
        environment = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONHASHSEED": seed}
        subprocess.run(argv, cwd=folder, env=environment, umask=mask, check=True)
        return (folder / LAYER).read_bytes(), json.loads((folder / FACTS).read_text())

    return run


def test_the_same_inputs_are_the_same_layer_wherever_it_is_made(
    sandbox: Callable[..., Any],
) -> None:
    pytest.importorskip("installer")
    first = sandbox("first")
    for number, other in enumerate(
        ({"mask": 0o077}, {"turn": -1}, {"seed": "1", "jobs": 2}, {"seed": "2"})
    ):
        assert sandbox(f"in/a/deeper/place/{number}", **other) == first, other


def test_a_layer_of_which_a_byte_was_changed_has_another_digest(
    layer: Make, deb: Callable[..., str]
) -> None:
    first = layer("first", [deb("x", {"./usr/bin/x": b"#!good"})])
    again = layer("again", [deb("x", {"./usr/bin/x": b"#!good"})])
    other = layer("other", [deb("x", {"./usr/bin/x": b"#!evil"})])
    assert again == first
    assert other.digest != first.digest and other.diff_id != first.diff_id
    path = Path("first", LAYER)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" != first.digest


def test_facts_of_a_layer_that_are_of_another_release_are_refused(
    layer: Make, deb: Callable[..., str]
) -> None:
    layer("low", [deb("x")])
    path = Path("low", FACTS)
    path.write_text(json.dumps({**json.loads(path.read_text()), "new": 1}))
    with pytest.raises(Failure, match="unexpected keyword argument 'new'"):
        build(LayerSpec("high", PYTHON, [], [], below=str(path)))
