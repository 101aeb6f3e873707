"""What is in the registry's storage is told without asking it; the rest is tried on a host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import oci
import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout, pushing

TOP = "docker/registry/v2"


def put(ctx: Context, image: layout.Image) -> Path:
    """As the registry lays it out; the file that names the image's manifest."""
    top = pushing.storage(ctx) / TOP
    link = top / f"repositories/{image.repository}/_manifests/tags/{image.tag}/current/link"
    number = image.digest.partition(":")[2]
    data = top / f"blobs/sha256/{number[:2]}/{number}/data"
    for path, text in ((link, image.digest.encode()), (data, image.manifest)):
        path.parent.mkdir(parents=True)
        path.write_bytes(text)
    return link


@pytest.fixture
def image(tmp_path: Path) -> layout.Image:
    (found,) = layout.read(oci.layout(tmp_path / "images", {"stable/a/b:1": (b"base", b"more")}))
    return found


def test_an_image_is_held_by_its_digest(ctx: Context, image: layout.Image) -> None:
    assert not pushing.held(ctx, image)
    link = put(ctx, image)
    assert pushing.held(ctx, image)
    link.write_text("sha256:" + "0" * 64)
    assert not pushing.held(ctx, image)


def test_the_list_tells_names_sizes_and_configurations(ctx: Context, image: layout.Image) -> None:
    assert pushing.stored(ctx) == []
    put(ctx, image)
    assert pushing.stored(ctx) == [
        pushing.Stored("stable/a/b:1", image.size, image.config, image.digest)
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="folders of others need root")
def test_a_link_that_the_registry_planted_is_not_followed(
    ctx: Context, image: layout.Image, tmp_path: Path
) -> None:
    link = put(ctx, image)
    secret = tmp_path / "secret"
    secret.write_text(image.digest)
    link.unlink()
    link.symlink_to(secret)
    assert not pushing.held(ctx, image)


def test_what_cannot_be_read_is_told_and_hinders_nothing(ctx: Context, image: layout.Image) -> None:
    link = put(ctx, image)
    link.write_text("sha256:../../../etc:1")
    assert pushing.stored(ctx) == [pushing.Stored("stable/a/b:1", 0, "", "")]


def test_a_push_that_would_fill_the_disk_is_not_begun(
    ctx: Context, image: layout.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(Problem, match="MB are free, images take"):
        pushing.push(ctx, [image])
    assert not pushing.storage(ctx).exists()
