"""Sites of nodes, and contexts as their nodes have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import shipped

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.topology import here
from backendai_ctl.validation.load import parse

At = Callable[..., Context]


def site_of(**named: str) -> str:
    """A site file of nodes: name="ADDRESS ROLE ...". More of the last one may follow."""
    text = '[site]\naddress = "ai.example.org"\n'
    for name, words in named.items():
        address, *roles = words.split()
        text += f'\n[nodes.{name}]\naddress = "{address}"\nroles = {json.dumps(roles)}\n'
    return text


FOUR = f"""\
{site_of(mgmt="10.77.0.1 management", store="10.77.0.2 storage", gpu1="10.77.0.11 compute")}\
resource_group = "gpu"
labels = ["a100"]

[nodes.gpu2]
address = "10.77.0.12"
roles = ["compute", "storage"]

[network]
allow = ["192.0.2.0/24"]
"""
EDGE = """
[nodes.edge]
address = "10.77.0.21"
roles = ["edge"]
public = "www.example.org"
"""


def as_node(facts: Facts, name: str, text: str) -> Context:
    """This host as that node of the site which the text describes."""
    facts.paths.site_file.write_text(text)
    site = parse(facts.paths.site_file, text, facts, node=name)
    here.name_file(facts).write_text(f"{name}\n")
    return here.context(facts, site)


@pytest.fixture
def at(facts: Facts) -> At:
    """The context of a node of a site of four; a second argument is added to the site file."""
    return lambda node, more="": as_node(facts, node, FOUR + more)


@pytest.fixture
def templates(facts: Facts) -> Path:
    """The templates that ship."""
    return shipped.templates(facts.paths.share)
