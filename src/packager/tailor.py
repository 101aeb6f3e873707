"""`./pants tailor`: a component's folder without a BUILD file is given one to fill in.

It holds the templates of a service, or the wheel of a plugin.
"""

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

from releasekit.locks import wheel_name

_COMPONENTS = "packaging/components"
_ASK = ("# Fill it in; `./pants help backendai_component` names the fields.",)


@dataclass(frozen=True)
class NewComponentsRequest(PutativeTargetsRequest):
    pass


@rule(desc="Look for components without a BUILD file")
async def find_new_components(
    request: NewComponentsRequest, _owned: AllOwnedSources
) -> PutativeTargets:
    found = await Get(Paths, PathGlobs, request.path_globs("*.j2", "*.whl", "BUILD"))
    known = {posixpath.dirname(path) for path in found.files if path.endswith("/BUILD")}
    firsts = {posixpath.dirname(path): path for path in sorted(found.files, reverse=True)}
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
                **(_of_plugin(first) if first.endswith(".whl") else _of_service(first)),
            },
            comments=_ASK,
        )
        for folder, first in firsts.items()
        if folder not in known and posixpath.dirname(folder) == _COMPONENTS
    )


def _of_plugin(wheel: str) -> dict[str, Any]:
    """It builds on the agent, as accelerators do, until somebody says otherwise."""
    name = wheel_name(posixpath.basename(wheel))
    return {"distributions": ("backend.ai-agent", name), "extends": "agent"}


def _of_service(template: str) -> dict[str, Any]:
    folder, file = posixpath.split(template)
    return {
        "distributions": (f"backend.ai-{posixpath.basename(folder)}",),
        "command": (),
        "config": file[: -len(".j2")],
    }


def rules() -> Any:
    return [*collect_rules(), UnionRule(PutativeTargetsRequest, NewComponentsRequest)]
