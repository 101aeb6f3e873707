from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from releasekit.errors import Failure
from releasekit.image_files import STAMP, Files, Node, folder, link, pack, settled, text

MakeDeb = Callable[..., Path]


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> tarfile.TarInfo:
    """An entry of a package with what `make_deb` cannot say."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    return info


@pytest.fixture
def base_files(tmp_path: Path, make_deb: MakeDeb) -> Path:
    """A package with the folder /bin as a link, as Debian's of that name."""
    return make_deb(
        tmp_path / "base-files_13_amd64.deb", {"./bin": "usr/bin"}, package="base-files"
    )


@pytest.fixture
def files() -> Files:
    return Files()


def test_packages_are_laid_out_and_their_paths_told(
    files: Files, tmp_path: Path, make_deb: MakeDeb
) -> None:
    one = make_deb(
        tmp_path / "one_1_amd64.deb",
        {"./usr/bin/one": b"#!x", "./usr/share/a": b"a", "./usr/lib/l": "../share/a"},
        extra=[(member("./usr/lib/", tarfile.DIRTYPE, 0o755), b"")],
    )
    assert files.add_packages([one]) == {"one": ["usr/bin/one", "usr/share/a", "usr/lib/l"]}
    assert files.nodes["usr/bin/one"] == Node("file", 0o755, data=b"#!x")
    assert files.nodes["usr/lib/l"] == link("../share/a")
    assert files.nodes["usr"] == folder()


def test_no_program_has_the_rights_of_its_owner(
    files: Files, tmp_path: Path, make_deb: MakeDeb
) -> None:
    """Set-user-ID and set-group-ID go; the owner and the sticky bit of a folder stay."""
    su = member("./usr/bin/su", mode=0o4755)
    wall = member("./usr/bin/wall", mode=0o2755)
    wall.gid = 5
    extra = [(su, b"su"), (wall, b"wall"), (member("./tmp", tarfile.DIRTYPE, 0o1777), b"")]
    files.add_packages([make_deb(tmp_path / "x_1_amd64.deb", {}, extra=extra)])
    assert files.nodes["usr/bin/su"].mode == 0o755
    assert files.nodes["usr/bin/wall"] == Node("file", 0o755, (0, 5), b"wall")
    assert files.nodes["tmp"].mode == 0o1777


def test_a_first_folder_that_is_a_link_is_followed_whatever_the_order_of_names(
    files: Files, tmp_path: Path, make_deb: MakeDeb, base_files: Path
) -> None:
    early = make_deb(tmp_path / "a_1_amd64.deb", {"./bin/a": b"a", "./bin/b": "a"})
    paths = files.add_packages([early, base_files])
    assert files.aliases == {"bin": "usr/bin"}
    assert files.nodes["bin"] == link("usr/bin")
    assert files.nodes["usr/bin/a"].data == b"a" and files.nodes["usr/bin/b"].kind == "link"
    assert not [path for path in files.nodes if path.startswith("bin/")]
    assert paths["a"] == ["bin/a", "bin/b"], "dpkg lists what a package says"


def test_a_layer_puts_no_folder_in_the_place_of_a_link_below_it(
    tmp_path: Path, make_deb: MakeDeb
) -> None:
    above = Files(aliases={"bin": "usr/bin"})
    extra = [(member("./bin", tarfile.DIRTYPE, 0o755), b""), (member("./bin/a"), b"a")]
    above.add_packages([make_deb(tmp_path / "a_1_amd64.deb", {}, extra=extra)])
    assert sorted(above.nodes) == ["usr", "usr/bin", "usr/bin/a"]


def test_folders_are_shared_and_files_are_not(
    files: Files, tmp_path: Path, make_deb: MakeDeb, base_files: Path
) -> None:
    etc = (member("./etc", tarfile.DIRTYPE, 0o755), b"")
    one = make_deb(tmp_path / "one_1_amd64.deb", {"./etc/one": b""}, extra=[etc])
    two = make_deb(tmp_path / "two_1_amd64.deb", {"./etc/two": b""}, extra=[etc])
    assert files.add_packages([two, one])["two"] == ["etc/two"]
    three = make_deb(tmp_path / "three_1_amd64.deb", {"./bin/x": b"", "./bin/y": b""})
    four = make_deb(tmp_path / "four_1_amd64.deb", {"./usr/bin/x": b""})
    with pytest.raises(Failure, match=r"^bin/x is in the Debian packages four and three"):
        Files().add_packages([three, four, base_files])


def test_what_is_left_out_is_not_taken_but_for_what_is_kept(
    tmp_path: Path, make_deb: MakeDeb
) -> None:
    files = Files(left_out=("usr/share/doc/*/*", "usr/share/man/*"), kept=("*/copyright",))
    doc = "./usr/share/doc/x"
    content = {f"{doc}/copyright": b"c", f"{doc}/NEWS": b"", "./usr/share/man/man1/x.1": b""}
    paths = files.add_packages([make_deb(tmp_path / "x_1_amd64.deb", content)])
    assert paths == {"x": ["usr/share/doc/x/copyright"]}
    assert [path for path, node in files.nodes.items() if node.kind == "file"] == paths["x"]


def test_devices_and_names_outside_are_refused(
    files: Files, tmp_path: Path, make_deb: MakeDeb
) -> None:
    device = make_deb(
        tmp_path / "d_1_amd64.deb", {}, extra=[(member("./dev/null", tarfile.CHRTYPE), b"")]
    )
    with pytest.raises(Failure, match=r"d_1_amd64\.deb: \./dev/null is neither file nor folder"):
        files.add_packages([device])
    with pytest.raises(Failure, match="leaves the package's root"):
        files.add_packages([make_deb(tmp_path / "e_1_amd64.deb", {"../evil": b"x"})])


def hard_link(name: str, target: str) -> Sequence[tuple[tarfile.TarInfo, bytes]]:
    info = member(name, tarfile.LNKTYPE)
    info.linkname = target
    return [(info, b"")]


def test_a_second_name_leads_to_where_its_file_is(
    files: Files, tmp_path: Path, make_deb: MakeDeb, base_files: Path
) -> None:
    perl = make_deb(
        tmp_path / "perl_1_amd64.deb",
        {"./bin/perl": b"#!perl"},
        extra=hard_link("./usr/bin/a-name-before", "./bin/perl"),
    )
    files.add_packages([perl, base_files])
    pack(settled(files), tmp_path / "layer")
    with tarfile.open(tmp_path / "layer") as tar:
        names = tar.getnames()
        assert tar.getmember("usr/bin/a-name-before").linkname == "usr/bin/perl"
        found = tar.extractfile("usr/bin/a-name-before")
        assert found is not None and found.read() == b"#!perl"
    assert names.index("usr/bin/perl") < names.index("usr/bin/a-name-before")


def test_a_second_name_of_what_is_left_out_is_refused(tmp_path: Path, make_deb: MakeDeb) -> None:
    files = Files(left_out=("usr/share/man/*",))
    deb = make_deb(
        tmp_path / "x_1_amd64.deb",
        {"./usr/share/man/x": b""},
        extra=hard_link("./usr/x", "./usr/share/man/x"),
    )
    files.add_packages([deb])
    with pytest.raises(Failure, match="usr/x is a second name of usr/share/man/x, which is left"):
        settled(files)


def test_a_node_is_put_over_what_is_there_with_the_folders_above_it(files: Files) -> None:
    files.aliases["lib"] = "usr/lib"
    files.put("lib/deep/x", text("first"))
    files.put("usr/lib/deep/x", text("second", 0o600, (0, 42)))
    assert sorted(files.nodes) == ["usr", "usr/lib", "usr/lib/deep", "usr/lib/deep/x"]
    assert files.nodes["usr/lib/deep/x"] == Node("file", 0o600, (0, 42), b"second")


def test_a_folder_of_this_machine_brings_no_more_than_whether_a_file_runs(
    files: Files, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir(mode=0o700)
    for name, mode in (("run", 0o700), ("read", 0o600), (".headers/x.h", 0o644)):
        path = tmp_path / "bin" / name if "/" not in name else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        path.chmod(mode)
    (tmp_path / "bin/link").symlink_to("run")
    files.add_folder(tmp_path, "usr/local", without=".headers")
    assert files.nodes == {
        **{path: folder() for path in ("usr", "usr/local", "usr/local/bin")},
        "usr/local/bin/run": text("run", 0o755),
        "usr/local/bin/read": text("read"),
        "usr/local/bin/link": link("run"),
    }


NODES = {
    "usr": folder(),
    "usr/bin": folder(),
    "usr/bin/x": text("x" * 10_000, 0o755),
    "tmp": folder(0o1777),
    "etc/shadow": text("", 0o640, (0, 42)),
    "usr/bin/y": link("x"),
}


def test_a_layer_is_a_tar_in_gzip_and_its_digests_are_of_both(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    blob = pack(NODES, path)
    data = path.read_bytes()
    assert blob.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert blob.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}"
    assert blob.size == len(data)
    assert data[3:8] == bytes(5), "gzip writes neither a name nor the time"
    with tarfile.open(path, "r:gz") as tar:
        found = {info.name: info for info in tar}
    assert list(found) == sorted(NODES), "a folder comes before what is in it"
    assert {info.mtime for info in found.values()} == {STAMP}
    assert {info.uname + info.gname for info in found.values()} == {""}
    assert (found["etc/shadow"].mode, found["etc/shadow"].gid) == (0o640, 42)
    assert found["tmp"].isdir() and found["tmp"].mode == 0o1777
    assert found["usr/bin/y"].issym() and found["usr/bin/y"].linkname == "x"


def test_the_same_nodes_give_the_same_bytes_and_others_another_digest(tmp_path: Path) -> None:
    first = pack(NODES, tmp_path / "first")
    before = os.umask(0o077)
    try:
        again = pack(dict(reversed(NODES.items())), tmp_path / "a-longer-name")
    finally:
        os.umask(before)
    assert again == first
    assert (tmp_path / "first").read_bytes() == (tmp_path / "a-longer-name").read_bytes()
    for path, node in (
        ("usr/bin/x", text("x" * 9_999 + "y", 0o755)),
        ("usr/bin/x", text("x" * 10_000)),
        ("etc/shadow", text("", 0o640)),
        ("usr/bin/y", link("z")),
        ("usr/bin/z", text("")),
    ):
        other = pack({**NODES, path: node}, tmp_path / "other")
        assert (other.digest, other.diff_id) != (first.digest, first.diff_id)
        assert other.digest != first.digest and other.diff_id != first.diff_id
