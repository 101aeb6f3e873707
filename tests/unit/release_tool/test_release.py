"""scripts/release on small bundles, with real signatures."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.unit.release_tool.conftest import ROOT, Gpg, MakeBundle, RunRelease, flip

OLD, NEW = "26.9.6-1", "26.9.6-2"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "verb", ["info", "verify", "split", "join", "diff", "delta", "apply", "add-image"]
)
def test_every_verb_explains_itself_with_an_example(verb: str, run_release: RunRelease) -> None:
    text = succeeded(run_release(verb, "--help"))
    assert f"example:\n  scripts/release {verb} " in text
    assert "--json" in text
    assert run_release(verb, "--no-such-option").returncode == 2


def test_info_tells_what_a_bundle_is(make_bundle: MakeBundle, run_release: RunRelease) -> None:
    path = make_bundle()
    found = json.loads(succeeded(run_release("info", path, "--json")))
    assert found["facts"]["number"] == "1"
    assert found["packages"] == {"deb": 1, "deb of the distribution": 1, "rpm": 1}
    assert "number 1" in succeeded(run_release("info", path))


def test_verify_accepts_a_bundle_and_its_folder(
    make_bundle: MakeBundle, run_release: RunRelease, gpgs: tuple[Gpg, Gpg], tmp_path: Path
) -> None:
    path = make_bundle()
    assert "compare this" in succeeded(run_release("verify", path))
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / path.stem
    spaced = " ".join(gpgs[0].fingerprint[at : at + 4] for at in range(0, 40, 4))
    assert "is as it was signed" in succeeded(
        run_release("verify", folder, "--fingerprint", spaced)
    )
    (folder / "docs/extra").write_text("x")
    refused(run_release("verify", folder), "unexpected file: docs/extra")
    (folder / "docs/extra").unlink()
    (folder / "install.sh").unlink()
    refused(run_release("verify", folder), "missing file: install.sh")


def test_verify_refuses_another_key(
    make_bundle: MakeBundle, run_release: RunRelease, gpgs: tuple[Gpg, Gpg]
) -> None:
    path = make_bundle(other_key=True)
    refused(
        run_release("verify", path, "--fingerprint", gpgs[0].fingerprint), "signed by", "not by"
    )


@pytest.mark.parametrize("name", ["install.sh", "MANIFEST", "MANIFEST.sig", "RELEASE"])
def test_verify_refuses_one_changed_bit(
    name: str, make_bundle: MakeBundle, run_release: RunRelease
) -> None:
    path = make_bundle()
    with tarfile.open(path) as tar:
        info = tar.getmember(f"{path.stem}/{name}")
    flip(path, info.offset_data + info.size - 4)
    refused(run_release("verify", path))


def volumes(path: Path, run_release: RunRelease, target: Path) -> list[Path]:
    succeeded(run_release("split", path, "--size", "50K", "--to", target))
    return sorted(target.glob("*.tar.0*"))


def test_volumes_are_checked_by_sha256sum_and_join_to_the_same(
    make_bundle: MakeBundle, run_release: RunRelease, tmp_path: Path
) -> None:
    path, out = make_bundle(), tmp_path / "out"
    parts = volumes(path, run_release, out)
    assert len(parts) > 5
    listed = out / f"{path.name}.volumes"
    subprocess.run(["sha256sum", "-c", "--quiet", listed.name], cwd=out, check=True)
    found = json.loads(succeeded(run_release("join", parts[0], "--json")))
    assert found["joined"]
    assert sha256(out / path.name) == sha256(path)
    assert not json.loads(succeeded(run_release("join", listed, "--json")))["joined"]


def test_join_goes_on_when_the_missing_volume_comes(
    make_bundle: MakeBundle, run_release: RunRelease, tmp_path: Path
) -> None:
    path, out, other = make_bundle(), tmp_path / "out", tmp_path / "other"
    parts = volumes(path, run_release, out)
    other.mkdir()
    parts[3].rename(other / parts[3].name)
    listed = out / f"{path.name}.volumes"
    refused(run_release("join", listed), f"{parts[3].name} is missing")
    assert not (out / path.name).exists()
    for part in parts[:3]:
        part.unlink()  # the first stick is gone
    succeeded(run_release("join", listed, "--from", other))
    assert sha256(out / path.name) == sha256(path)


def test_what_join_refuses_does_not_keep_the_name_of_a_bundle(
    make_bundle: MakeBundle, run_release: RunRelease, tmp_path: Path
) -> None:
    path, out = make_bundle(), tmp_path / "out"
    with tarfile.open(path) as tar:
        info = tar.getmember(f"{path.stem}/MANIFEST.sig")
    flip(path, info.offset_data + info.size - 4)  # before the volumes are made: they are right
    parts = volumes(path, run_release, out)
    for _ in range(2):
        refused(run_release("join", parts[0]), "MANIFEST", ".refused")
        assert not (out / path.name).exists()
        assert (out / f"{path.name}.refused").exists()


def test_join_names_a_broken_volume(
    make_bundle: MakeBundle, run_release: RunRelease, tmp_path: Path
) -> None:
    path, out = make_bundle(), tmp_path / "out"
    parts = volumes(path, run_release, out)
    flip(parts[2], 777)
    listed = out / f"{path.name}.volumes"
    refused(run_release("join", listed), f"{parts[2].name} is broken")
    assert not (out / path.name).exists()
    assert (out / f"{path.name}.part").stat().st_size == 100_000
    flip(parts[2], 777)
    succeeded(run_release("join", listed))


def test_join_trusts_nothing_that_a_killed_run_left(
    make_bundle: MakeBundle, run_release: RunRelease, tmp_path: Path
) -> None:
    path, out = make_bundle(), tmp_path / "out"
    volumes(path, run_release, out)
    partial = out / f"{path.name}.part"
    partial.write_bytes(path.read_bytes()[:123_456])
    flip(partial, 60_000)
    succeeded(run_release("join", out / f"{path.name}.volumes"))
    assert sha256(out / path.name) == sha256(path)
    assert not partial.exists()


@pytest.fixture
def pair(make_bundle: MakeBundle, run_release: RunRelease, tmp_path: Path) -> tuple[Path, ...]:
    """Old bundle, new bundle, the delta between them."""
    old, new, delta = make_bundle(OLD, 1), make_bundle(NEW, 2), tmp_path / "d.delta"
    succeeded(run_release("delta", old, new, "--output", delta))
    return old, new, delta


def test_a_delta_is_small_and_gives_the_new_bundle(
    pair: tuple[Path, ...], run_release: RunRelease, tmp_path: Path
) -> None:
    old, new, delta = pair
    assert delta.stat().st_size < 0.1 * new.stat().st_size
    assert "2 patched" not in succeeded(run_release("info", new))
    assert "delta from" in succeeded(run_release("info", delta))
    result = tmp_path / "result.tar"
    succeeded(run_release("apply", old, delta, "--output", result))
    assert sha256(result) == sha256(new)
    with tarfile.open(old) as tar:
        tar.extractall(tmp_path / "u", filter="data")
    again = tmp_path / "again.tar"
    succeeded(run_release("apply", tmp_path / "u" / old.stem, delta, "--output", again))
    assert sha256(again) == sha256(new)


def test_a_portable_delta_repacks_nothing(
    pair: tuple[Path, ...], run_release: RunRelease, tmp_path: Path
) -> None:
    old, new, delta = pair
    portable, result = tmp_path / "p.delta", tmp_path / "result.tar"
    succeeded(run_release("delta", old, new, "--portable", "--output", portable))
    assert not json.loads(succeeded(run_release("info", portable, "--json")))["repacks"]
    assert portable.stat().st_size > delta.stat().st_size
    succeeded(run_release("apply", old, portable, "--output", result))
    assert sha256(result) == sha256(new)


def test_a_flipped_bit_anywhere_in_a_delta_is_refused(
    pair: tuple[Path, ...], run_release: RunRelease, tmp_path: Path
) -> None:
    old, _, delta = pair
    size = delta.stat().st_size
    chance = random.Random(4)
    for at in (0, 20, size - 1, *(chance.randrange(size) for _ in range(5))):
        flip(delta, at)
        refused(run_release("apply", old, delta, "--output", tmp_path / "r.tar"), "delta")
        assert not (tmp_path / "r.tar").exists()
        flip(delta, at)


def test_a_cut_delta_is_refused(pair: tuple[Path, ...], run_release: RunRelease) -> None:
    old, _, delta = pair
    os.truncate(delta, delta.stat().st_size - 1)
    refused(run_release("apply", old, delta), "bytes")


def test_a_broken_base_is_named(
    pair: tuple[Path, ...], run_release: RunRelease, tmp_path: Path
) -> None:
    old, _, delta = pair
    with tarfile.open(old) as tar:
        info = next(item for item in tar if "etcd" in item.name)
    flip(old, info.offset_data + 1000)
    result = tmp_path / "r.tar"
    refused(run_release("apply", old, delta, "--output", result), "etcd-server", "damaged")
    assert not result.exists()
    flip(old, info.offset_data + 1000)
    succeeded(run_release("apply", old, delta, "--output", result))


def test_a_wrong_base_is_named(
    pair: tuple[Path, ...], make_bundle: MakeBundle, run_release: RunRelease
) -> None:
    _, _, delta = pair
    other = make_bundle("26.9.5-1", 1)
    refused(run_release("apply", other, delta), "26.9.5-1", "26.9.6-1 (number 1)", "not the same")


def test_a_new_key_must_be_named(
    make_bundle: MakeBundle, run_release: RunRelease, gpgs: tuple[Gpg, Gpg], tmp_path: Path
) -> None:
    old, new = make_bundle(OLD, 1), make_bundle(NEW, 2, other_key=True)
    delta, result = tmp_path / "d.delta", tmp_path / "r.tar"
    succeeded(run_release("delta", old, new, "--output", delta))
    refused(run_release("apply", old, delta, "--output", result), "not good", "--fingerprint")
    refused(
        run_release("apply", old, delta, "--output", result, "--fingerprint", gpgs[0].fingerprint),
        "not by",
    )
    assert not result.exists()
    succeeded(
        run_release("apply", old, delta, "--output", result, "--fingerprint", gpgs[1].fingerprint)
    )


@pytest.mark.parametrize("verb", ["join", "apply"])
def test_killed_at_any_moment_it_goes_on(
    verb: str, pair: tuple[Path, ...], run_release: RunRelease, tmp_path: Path
) -> None:
    old, new, delta = pair
    volumes(new, run_release, tmp_path / "out")
    result = tmp_path / "r.tar"
    args = [old, delta] if verb == "apply" else [tmp_path / "out" / f"{new.name}.volumes"]
    argv = [str(ROOT / "scripts/release"), verb, *map(str, args), "--output", str(result)]
    partial = result.with_name("r.tar.part")
    for size in (1, 60_000, 250_000):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError):  # not there yet, or finished
                if partial.stat().st_size >= size:
                    process.send_signal(signal.SIGKILL)
                    process.wait(30)
        if process.returncode == 0:
            result.unlink()  # it was faster
        assert not result.exists()
    succeeded(run_release(verb, *args, "--output", result))
    assert sha256(result) == sha256(new)
    assert not partial.exists()


def test_a_full_disk_is_said_and_survived(
    pair: tuple[Path, ...], run_release: RunRelease, tmp_path: Path
) -> None:
    old, new, delta = pair
    volumes(new, run_release, tmp_path / "out")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        for args in (("apply", old, delta), ("join", tmp_path / "out" / f"{new.name}.volumes")):
            subprocess.run(["mount", "-o", "remount,size=200k", small], check=True)
            done = run_release(*args, "--output", small / new.name)
            refused(done, "the disk is full", "hint")
            assert [path.name for path in small.iterdir()] == [f"{new.name}.part"]
            subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
            succeeded(run_release(*args, "--output", small / new.name))
            assert sha256(small / new.name) == sha256(new)
            (small / new.name).unlink()
    finally:
        subprocess.run(["umount", small], check=True)


def test_diff_names_what_changed(pair: tuple[Path, ...], run_release: RunRelease) -> None:
    old, new, _ = pair
    found = json.loads(succeeded(run_release("diff", old, new, "--json")))
    assert {item["name"] for item in found["changed"]} == {"backendai-client"}
    assert found["changed"][0]["version"] == {"old": OLD, "new": NEW}
    assert found["unchanged"] == 1
    assert "| changed | backendai-client (deb)" in succeeded(run_release("diff", old, new))
