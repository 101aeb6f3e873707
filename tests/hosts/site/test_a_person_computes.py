"""Promise: with what is in the bundle alone a person computes: a line, a notebook, in the browser too."""

from __future__ import annotations

import json
from collections.abc import Iterator

import people as everybody
import pytest
from people import IMAGE, People

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "one",
            "metadata": {},
            "outputs": [],
            "source": "print(6 * 7)",
        }
    ],
    "metadata": {"kernelspec": {"display_name": "", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def session(people: People) -> Iterator[str]:
    with people.ann.session("computes", memory="512m") as session:
        yield session


def test_the_images_of_the_bundle_are_there_unasked(people: People) -> None:
    shown = people.admin.site.ctl("image", "list")
    known = {f"{shown['registry']}/{image['name']}": image["ok"] for image in shown["images"]}
    assert all(known.values()) and IMAGE in known, shown


def test_a_line_is_computed(people: People) -> None:
    size = ["-r", "cpu=1", "-r", "mem=256m"]
    said = people.ann.client("run", "-c", "print(6 * 7)", *size, "--rm", IMAGE, timeout=300)
    assert "42" in said.split(), said


def test_a_notebook_is_computed(people: People, session: str) -> None:
    said = everybody.inside(people.ann.host, session, "notebook.py", json.dumps(NOTEBOOK))
    (cell,) = json.loads(said)["cells"]
    assert cell["outputs"][0]["text"] == ["42\n"], cell


def test_jupyterlab_opens_by_the_app_proxy(people: People, session: str) -> None:
    visits = people.ann.browse(app=[session, "jupyterlab", None])["visits"]
    assert all("JupyterLab" in text for _, text in visits), visits
