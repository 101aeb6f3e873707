"""Promises of backendai_ctl.acceptance.suite: what upstream's specs end in means what suite.toml says."""

from __future__ import annotations

from typing import Any

import pytest
from upstream import unpack

from backendai_ctl.acceptance import suite
from backendai_ctl.acceptance.account import Agent
from backendai_ctl.acceptance.suite import Needs, Table

KNOWN = Table(
    {
        "odd": {"no such field": "upstream asks for a field that is gone"},
        "twice": {"KeyError: a": "upstream asks for a", "triggered-by": "the manager ends it"},
    },
    {},
    {"template": "it leaves a template"},
)


def row(name: str, *errors: str) -> dict[str, Any]:
    failures = [{"stage": "login", "error": error, "trace": ""} for error in errors]
    return {"name": name, "seconds": 1.25, "failures": failures}


@pytest.mark.parametrize(
    ("ended", "level", "message"),
    [
        (row("even"), "ok", "passes"),
        (row("even", "KeyError: a"), "fail", "login: KeyError: a"),
        (row("odd", "KeyError: no such field"), "skip", "fails on every site: upstream asks"),
        (row("odd", "no such field", "HTTP 500"), "fail", "login: HTTP 500"),
        (row("odd", "HTTP 500"), "fail", "login: HTTP 500"),
        (row("twice", "KeyError: a", "not triggered-by"), "skip", "upstream asks for a; the"),
        (row("twice", "KeyError: a", "KeyError: b"), "fail", "login: KeyError: b"),
        (row("odd"), "ok", "passes, although it is listed as failing: upstream asks"),
    ],
)
def test_only_the_listed_failure_is_none(ended: Any, level: str, message: str) -> None:
    outcome = suite.judge(ended, KNOWN)
    assert outcome.level == level and message in outcome.message
    assert bool(outcome.hint) == (level == "fail") and outcome.seconds == 1.2


def agents(*cores: int) -> list[Agent]:
    return [Agent(f"i-{number}", "default", free, {}) for number, free in enumerate(cores)]


def test_what_the_site_has_no_room_for_is_not_run() -> None:
    known = Table({}, {"one": Needs(2), "two": Needs(4, nodes=2), "three": Needs(1, containers=3)})
    assert suite.unmet(known, agents(1, 7, 3), 3) == {}
    assert suite.unmet(known, agents(1), 3) == {
        "one": "needs 2 free cores on one node, there are 1",
        "two": "needs 2 nodes with agents, the site has 1",
    }
    assert suite.unmet(known, agents(2, 1), 1) == {
        "two": "needs 4 free cores on 2 nodes, there are 3",
        "three": "needs sessions of 3 containers, the site allows 1",
    }
    assert suite.unmet(KNOWN, agents(8), 8) == {
        "template": "fails on every site: it leaves a template"
    }


def test_the_table_names_specs_of_this_release(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = unpack(tmp_path_factory.mktemp("suite"), ["backend-ai-test"])
    names = "from ai.backend.test.testcases.testspecs import ROOT_TEST_SPECS as s; print(*s)"
    specs = set(found.run(names, changed=False).split())
    known = suite.table()
    assert {*known.failing, *known.needs, *known.left_out} <= specs
    listed = [pair for found in known.failing.values() for pair in found.items()]
    for says, why in [*listed, *known.left_out.items()]:
        assert says and why and "\n" not in why
