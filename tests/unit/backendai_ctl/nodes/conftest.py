"""A site of four nodes, and contexts as its nodes have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import shipped

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.nodes import here
from backendai_ctl.site.load import parse

SITE = """\
[site]
address = "ai.example.org"

[network]
allow = ["192.0.2.0/24"]

[nodes.mgmt]
address = "10.77.0.1"
roles = ["management"]

[nodes.store]
address = "10.77.0.2"
roles = ["storage"]

[nodes.gpu1]
address = "10.77.0.11"
roles = ["compute"]
resource_group = "gpu"
labels = ["a100"]

[nodes.gpu2]
address = "10.77.0.12"
roles = ["compute", "storage"]
"""
EDGE = """
[nodes.edge]
address = "10.77.0.21"
roles = ["edge"]
public = "www.example.org"
"""

At = Callable[..., Context]


@pytest.fixture
def at(facts: Facts) -> At:
    """The context of a node; a second argument is added to the site file."""

    def make(node: str, more: str = "") -> Context:
        text = SITE + more
        facts.paths.site_file.write_text(text)
        site = parse(facts.paths.site_file, text, facts, node=node)
        here.name_file(facts).write_text(f"{node}\n")
        return here.context(facts, site)

    return make


@pytest.fixture
def templates(facts: Facts) -> Path:
    """The templates that ship."""
    return shipped.templates(facts.paths.share)
