from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from releasekit.debfile import control, extract, members
from releasekit.errors import Failure

MakeDeb = Callable[..., Path]


def tree(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
def test_files_and_links_are_unpacked(
    tmp_path: Path, dest: Path, make_deb: MakeDeb, compression: str
) -> None:
    deb = make_deb(
        tmp_path / "x.deb",
        {"./usr/bin/tool": b"#!x", "./usr/share/a": b"a", "./usr/lib/l": "../share/a"},
        compression=compression,
    )
    extract(deb, dest)
    assert tree(dest) == ["usr/bin/tool", "usr/lib/l", "usr/share/a"]
    assert (dest / "usr/lib/l").read_bytes() == b"a"
    assert (dest / "usr/bin/tool").stat().st_mode & 0o777 == 0o755
    assert (dest / "usr/share/a").stat().st_mode & 0o777 == 0o644


def test_control_fields_keep_continuation_lines(tmp_path: Path, make_deb: MakeDeb) -> None:
    fields = control(make_deb(tmp_path / "x.deb", {}, package="libx"))
    assert fields == {"Package": "libx", "Version": "1.0", "Description": "one\ntwo"}


def test_every_member_is_told_as_the_package_has_it(tmp_path: Path, make_deb: MakeDeb) -> None:
    """Folders, absolute links and set-user-ID too: who asks decides what of it to take."""
    folder, tool = tarfile.TarInfo("./var/x/"), tarfile.TarInfo("./usr/bin/su")
    folder.type, folder.mode, folder.uid = tarfile.DIRTYPE, 0o1777, 6
    tool.mode = 0o4755
    files = {"./a": b"a", "./l": "/etc/c"}
    deb = make_deb(tmp_path / "x.deb", files, extra=[(folder, b""), (tool, b"su")])
    found = {info.name: (info, content) for _, info, content in members(deb)}
    assert {name: content for name, (_, content) in found.items()} == {
        **{"./a": b"a", "./l": b""},
        **{"./var/x": b"", "./usr/bin/su": b"su"},
    }
    assert found["./l"][0].linkname == "/etc/c"
    assert (found["./var/x"][0].mode, found["./var/x"][0].uid) == (0o1777, 6)
    assert found["./usr/bin/su"][0].mode == 0o4755


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "./usr/../../evil"])
def test_no_member_is_told_whose_name_is_outside(
    tmp_path: Path, make_deb: MakeDeb, name: str
) -> None:
    with pytest.raises(Failure, match="leaves the package's root"):
        list(members(make_deb(tmp_path / "x.deb", {name: b"x"})))


def test_only_what_is_wanted_is_unpacked(tmp_path: Path, dest: Path, make_deb: MakeDeb) -> None:
    deb = make_deb(tmp_path / "x.deb", {"./a.whl": b"", "./b": b""})
    extract(deb, dest, lambda name: name.endswith(".whl"))
    assert tree(dest) == ["a.whl"]


def test_absolute_links_mean_the_package_root(
    tmp_path: Path, dest: Path, make_deb: MakeDeb
) -> None:
    deb = make_deb(tmp_path / "x.deb", {"./etc/c": b"c", "./usr/lib/c": "/etc/c"})
    extract(deb, dest)
    assert (dest / "usr/lib/c").read_bytes() == b"c"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "./usr/../../evil"])
def test_names_outside_are_refused(
    tmp_path: Path, dest: Path, make_deb: MakeDeb, name: str
) -> None:
    deb = make_deb(tmp_path / "x.deb", {name: b"x"})
    with pytest.raises(Failure, match="leaves the package's root"):
        extract(deb, dest)
    assert tree(tmp_path) == ["x.deb"]


def test_links_that_lead_outside_are_refused(tmp_path: Path, dest: Path, make_deb: MakeDeb) -> None:
    with pytest.raises(Failure, match="leaves the package's root"):
        extract(make_deb(tmp_path / "x.deb", {"./usr/l": "../../x"}), dest)


def test_nothing_is_written_through_a_link(tmp_path: Path, dest: Path, make_deb: MakeDeb) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (dest / "usr").symlink_to(outside)
    with pytest.raises(Failure, match="through the link"):
        extract(make_deb(tmp_path / "x.deb", {"./usr/f": b"x"}), dest)
    assert list(outside.iterdir()) == []


def test_devices_are_refused(tmp_path: Path, dest: Path, make_deb: MakeDeb) -> None:
    device = tarfile.TarInfo("./dev/null")
    device.type = tarfile.CHRTYPE
    with pytest.raises(Failure, match="neither file nor folder nor link"):
        extract(make_deb(tmp_path / "x.deb", {}, extra=[(device, b"")]), dest)


def test_hard_links_stay_inside(tmp_path: Path, dest: Path, make_deb: MakeDeb) -> None:
    link = tarfile.TarInfo("./b")
    link.type, link.linkname = tarfile.LNKTYPE, "./a"
    extract(make_deb(tmp_path / "x.deb", {"./a": b"same"}, extra=[(link, b"")]), dest)
    assert (dest / "b").read_bytes() == b"same"
    link.linkname = "../outside"
    with pytest.raises(Failure):
        extract(make_deb(tmp_path / "y.deb", {}, extra=[(link, b"")]), dest)


def test_zstd_is_refused_clearly(tmp_path: Path, dest: Path, make_deb: MakeDeb) -> None:
    deb = make_deb(tmp_path / "x.deb", {"./a": b""}, data_name="data.tar.zst")
    with pytest.raises(Failure, match="'zst' is not supported"):
        extract(deb, dest)


def test_damaged_files_are_clear_errors(tmp_path: Path, dest: Path, make_deb: MakeDeb) -> None:
    whole = make_deb(tmp_path / "x.deb", {"./a": b"a" * 4000}, compression="").read_bytes()
    for size in (4, 40, 300, len(whole) - 3000):
        cut = tmp_path / "cut.deb"
        cut.write_bytes(whole[:size])
        with pytest.raises(Failure, match=r"cut\.deb"):
            extract(cut, dest)
