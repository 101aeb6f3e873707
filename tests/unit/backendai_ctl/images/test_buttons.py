"""Buttons of the web UI start images that are in the registry of the site, or what the web UI finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import oci
import pytest
from site_nodes import EDGE, At

from backendai_ctl.context import Context
from backendai_ctl.images import buttons

HOST = "127.0.0.1:8140"
# The first by the alphabet is somebody else's.
IMAGES = ("stable/a-browser:1", "stable/filebrowser:1", "stable/python:1", "stable/sftp:1")
BUILDS = Path(__file__).parents[4] / "packaging/images"


@pytest.fixture
def there(ctx: Context) -> Path:
    """The release's images in its bundle on this host."""
    folder = ctx.paths.state / f"bundles/backendai-{ctx.facts.full_version}-linux-amd64/images"
    folder.mkdir(parents=True)
    return oci.layout(folder, dict.fromkeys(IMAGES, (b"base",)))


def named(ctx: Context) -> tuple[str, str]:
    return buttons.file_browser(ctx), buttons.ssh(ctx)


def test_each_has_the_one_of_the_release(ctx: Context, there: Path) -> None:
    names = ("stable/filebrowser:1@x86_64", "stable/sftp:1@x86_64")
    for name in names:
        folder = name.partition(":")[0].partition("/")[2]
        assert f'image="{name.partition(":")[0]}:' in (BUILDS / folder / "BUILD").read_text()
    assert named(ctx) == (f"{HOST}/{names[0]}", f"{HOST}/{names[1]}")


def test_a_release_without_them_names_none(ctx: Context) -> None:
    assert named(ctx) == ("", "")


def test_images_for_computing_are_none(ctx: Context, there: Path) -> None:
    oci.layout(there, {"stable/python:1": (b"base",)})
    assert named(ctx) == ("", "")


def test_a_damaged_one_keeps_no_service_from_its_settings(ctx: Context, there: Path) -> None:
    (there / "index.json").write_text("{}")
    assert named(ctx) == ("", "")


def test_a_node_without_the_registry_names_what_is_in_that_of_the_site(at: At, there: Path) -> None:
    """Where its certificate is the operator's, nodes cannot trust it, and nothing is in it."""
    edge = at("edge", EDGE)
    assert named(edge)[0] == "10.77.0.1:8140/stable/filebrowser:1@x86_64"
    tls = edge.site.tls.model_copy(update={"mode": "own"})
    assert named(replace(edge, site=edge.site.model_copy(update={"tls": tls}))) == ("", "")
