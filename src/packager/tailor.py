"""`./pants tailor`: a component's folder that has templates and no BUILD file is given one to fill in."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

from pants.core.goals.tailor import (
    AllOwnedSources,
    PutativeTarget,
    PutativeTargets,
    PutativeTargetsRequest,
)
from pants.engine.fs import PathGlobs, Paths
from pants.engine.rules import Get, collect_rules, rule
from pants.engine.unions import UnionRule

_COMPONENTS = "packaging/components"
_ASK = ("# Fill it in; `./pants help backendai_component` names the fields.",)


@dataclass(frozen=True)
class NewComponentsRequest(PutativeTargetsRequest):
    pass


@rule(desc="Look for components without a BUILD file")
async def find_new_components(
    request: NewComponentsRequest, _owned: AllOwnedSources
) -> PutativeTargets:
    found = await Get(Paths, PathGlobs, request.path_globs("*.j2", "BUILD"))
    known = {posixpath.dirname(path) for path in found.files if path.endswith("/BUILD")}
    configs = {posixpath.dirname(path): path for path in sorted(found.files, reverse=True)}
    return PutativeTargets(
        PutativeTarget(
            folder,
            posixpath.basename(folder),
            "backendai_component",
            (),
            (),
            kwargs={
                "name": posixpath.basename(folder),
                "summary": "",
                "description": "",
                "distributions": (f"backend.ai-{posixpath.basename(folder)}",),
                "command": (),
                "config": posixpath.basename(config)[: -len(".j2")],
            },
            comments=_ASK,
        )
        for folder, config in configs.items()
        if folder not in known and posixpath.dirname(folder) == _COMPONENTS
    )


def rules() -> Any:
    return [*collect_rules(), UnionRule(PutativeTargetsRequest, NewComponentsRequest)]
