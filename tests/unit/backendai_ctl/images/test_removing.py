"""An image that was removed by its name stays away, until somebody loads it; the rest is tried on a host."""

from __future__ import annotations

import os
from pathlib import Path

import oci
import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout, pushing, removing
from backendai_ctl.steps.push_images import PushImages

NAMES = ("stable/a:1", "stable/a:2")


@pytest.fixture
def release(ctx: Context) -> Context:
    """A host whose bundle brings two images of one repository."""
    folder = ctx.paths.state / f"bundles/backendai-{ctx.facts.full_version}-linux-amd64/images"
    folder.mkdir(parents=True)
    oci.layout(folder, {name: (b"base",) for name in NAMES})
    return ctx


def put(ctx: Context) -> None:
    """Names of the release's images, as the registry lays them out."""
    for image in layout.read(layout.of_release(ctx)):
        link = pushing.tag(ctx, image.name) / "current/link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(image.digest)


def missing(ctx: Context) -> list[str]:
    return [change.what for change in PushImages().check(ctx)]


def test_it_is_not_pushed_again_by_itself(release: Context) -> None:
    put(release)
    removing.remove(release, NAMES[0])
    assert [one.name for one in pushing.stored(release)] == [NAMES[1]]
    assert missing(release) == [] and removing.removed(release) == [NAMES[0]]
    removing.let_in(release, NAMES)
    assert missing(release) == [f"image {NAMES[0]}"] and removing.removed(release) == []


def test_an_image_of_the_release_that_was_never_there_is_kept_out_too(release: Context) -> None:
    assert len(missing(release)) == 2
    removing.remove(release, NAMES[0])
    assert missing(release) == [f"image {NAMES[1]}"]


def test_root_alone_reads_the_record_and_a_damaged_one_is_told(release: Context) -> None:
    removing.keep_out(release, NAMES)
    assert removing.record(release).stat().st_mode & 0o777 == 0o600
    removing.record(release).write_text("[")
    with pytest.raises(Problem, match=r"removed-images\.json") as caught:
        missing(release)
    assert "remove the file" in str(caught.value.hint)


@pytest.mark.skipif(os.geteuid() != 0, reason="folders of others need root")
def test_a_link_in_the_place_of_a_name_is_not_followed(release: Context, tmp_path: Path) -> None:
    put(release)
    tags = pushing.tag(release, NAMES[0]).parent
    (tmp_path / "theirs/1/current").mkdir(parents=True)
    for tag in tags.iterdir():
        (tag / "current/link").unlink()
        (tag / "current").rmdir()
        tag.rmdir()
    tags.rmdir()
    tags.symlink_to(tmp_path / "theirs")
    os.chown(tags.parent, 65534, 65534)
    with pytest.raises(Problem):
        removing.remove(release, NAMES[0])
    assert (tmp_path / "theirs/1/current").exists()


def test_where_nothing_was_pushed_there_is_nothing_to_sweep(release: Context) -> None:
    assert removing.sweep(release, dry_run=True) == removing.Swept(0, 0)
