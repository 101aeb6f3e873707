"""What servers and images are made of is read from their BUILD files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.declared import Image, images, servers
from releasekit.errors import Failure

ROOT = Path(__file__).resolve().parents[3]


def test_the_sites_own_servers_are_sets_of_their_own() -> None:
    found = servers(ROOT)
    assert {"postgresql", "valkey", "etcd"} <= set(found)
    assert "postgresql-17" in found["postgresql"] and "etcd-client" in found["etcd"]


def test_what_servers_are_made_of_is_read_by_the_name_of_each(tmp_path: Path) -> None:
    for name, debian in (("one", '["liba", "b"]'), ("two", "[]")):
        folder = tmp_path / f"packaging/servers/{name}"
        folder.mkdir(parents=True)
        (folder / "BUILD").write_text(f'backendai_server(name="{name}", debian={debian})\n')
    other = 'backendai_server_tree(name="tree", debian=["elsewhere"])'
    with (tmp_path / "packaging/servers/one/BUILD").open("a") as file:
        file.write(other)
    assert servers(tmp_path) == {"one": ["liba", "b"], "two": []}


def test_packages_of_a_server_that_cannot_be_read_are_named_with_their_line(tmp_path: Path) -> None:
    folder = tmp_path / "packaging/servers/x"
    folder.mkdir(parents=True)
    (folder / "BUILD").write_text('\nbackendai_server(name="x", debian=[*COMMON])\n')
    with pytest.raises(Failure, match=r"BUILD:2: `name` and `debian` must be plain words"):
        servers(tmp_path)


def declare(root: Path, name: str, *words: str) -> None:
    """Write the BUILD file of an image."""
    folder = root / f"packaging/images/{name}"
    folder.mkdir(parents=True)
    (folder / "BUILD").write_text(f"session_image(name={name!r}, {', '.join(words)})\n")


def test_images_of_the_repository_are_read_with_what_they_are_based_on() -> None:
    found = {image.name: image for image in images(ROOT)}
    assert next(iter(found)) == "base" and found["base"].base == ""
    assert found["python"].base == "base" and "jupyterlab" in found["python"].distributions
    assert "bash" in found["base"].debian


def test_an_image_comes_after_the_one_that_it_is_based_on(tmp_path: Path) -> None:
    declare(tmp_path, "a", 'base="b"', 'image="x:1"', "labels={**COMMON}")
    declare(tmp_path, "b", 'base="c"', 'distributions=["one"]')
    declare(tmp_path, "c", 'debian=["liba"]')
    declare(tmp_path, "d")
    assert images(tmp_path) == [
        Image("c", "", ("liba",), ()),
        Image("d", "", (), ()),
        Image("b", "c", (), ("one",)),
        Image("a", "b", (), ()),
    ]


def test_a_checkout_without_images_has_none(tmp_path: Path) -> None:
    assert images(tmp_path) == []


@pytest.mark.parametrize("base", ["b", "a", "none"])
def test_images_that_are_based_on_themselves_or_nothing_are_named(
    tmp_path: Path, base: str
) -> None:
    declare(tmp_path, "a", f"base={base!r}")
    declare(tmp_path, "b", 'base="a"')
    declare(tmp_path, "fine")
    with pytest.raises(Failure, match="packaging/images: a, b: their `base` is none of the images"):
        images(tmp_path)


@pytest.mark.parametrize("word", ["debian=[*COMMON]", "base=NAME", 'distributions=LIST + ["x"]'])
def test_what_an_image_asks_for_is_plain(tmp_path: Path, word: str) -> None:
    declare(tmp_path, "a", word)
    with pytest.raises(Failure, match=r"a/BUILD:1: .*`distributions` must be plain words"):
        images(tmp_path)


def test_a_build_file_that_is_broken_is_named(tmp_path: Path) -> None:
    declare(tmp_path, "a", "debian=[")
    with pytest.raises(Failure, match=r"images/a/BUILD: .*does not match"):
        images(tmp_path)
