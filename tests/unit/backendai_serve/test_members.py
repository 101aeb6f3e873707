"""New accounts join `default` where nobody chose a project for them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from backendai_serve import members

STORE, DEFAULT, OTHER = "id-of-model-store", "id-of-default", "id-of-other"


class _Column:
    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, value: object) -> Any:
        return (self.name, value)


class _Query:
    def where(self, *conditions: tuple[str, str]) -> dict[str, str]:
        return dict(conditions)


class _Rows:
    """The one project that can be found, as upstream's sessions give it."""

    async def scalars(self, wanted: dict[str, str]) -> Any:
        here = {"domain_name": "seoul", "name": "default", "type": "general"}
        return SimpleNamespace(all=lambda: [DEFAULT] if wanted == here else [])


def operations(domain: str) -> Any:
    """A module as the release has it, but for what is behind it."""

    class V2UserWriteOps:
        _sess = _Rows()
        joined: set[str] = set()

        async def _domain_name(self, _domain_id: str) -> str:
            return domain

        async def _member_project_ids(self, _domain: str, project_ids: list[str]) -> set[str]:
            return {*project_ids} & {STORE, DEFAULT, OTHER}

        async def _model_store_project_ids(self, _domain: str) -> set[str]:
            return {STORE}

        async def join_projects(self, _user: str, _domain: str, project_ids: list[str]) -> None:
            self.joined = {*project_ids, STORE}

    columns = {name: _Column(name) for name in ("id", "domain_name", "name", "type")}
    return SimpleNamespace(
        V2UserWriteOps=V2UserWriteOps,
        ProjectRow=SimpleNamespace(**columns),
        ProjectType=SimpleNamespace(GENERAL="general"),
        sa=SimpleNamespace(select=lambda _column: _Query()),
    )


@pytest.mark.parametrize(
    ("domain", "asked", "joined"),
    [
        ("seoul", [STORE], {STORE, DEFAULT}),  # what the web UI's form presets
        ("seoul", [], {STORE, DEFAULT}),
        ("seoul", ["of another domain"], {STORE, DEFAULT}),
        ("seoul", [STORE, OTHER], {STORE, OTHER}),
        ("busan", [STORE], {STORE}),  # it has no project of that name
    ],
)
def test_default_is_joined_where_nothing_was_chosen(
    domain: str, asked: list[str], joined: set[str]
) -> None:
    module = operations(domain)
    members.join_default(module)
    account = module.V2UserWriteOps()
    asyncio.run(account.join_projects("user", "domain", asked))
    assert account.joined == joined
