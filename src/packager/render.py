"""Files from templates."""

from __future__ import annotations

import posixpath
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError
from pants.core.target_types import FileSourceField
from pants.engine.fs import (
    CreateDigest,
    DigestContents,
    FileContent,
    GlobMatchErrorBehavior,
    PathGlobs,
    Snapshot,
)
from pants.engine.rules import Get, collect_rules, rule
from pants.engine.target import GeneratedSources, GenerateSourcesRequest
from pants.engine.unions import UnionRule

from packager.release import Release
from packager.targets import RenderedOutputField, RenderedSourceField, TemplateField
from packager.values import ValuesField, thaw
from releasekit.errors import Failure


class RenderRequest(GenerateSourcesRequest):
    input = RenderedSourceField
    output = FileSourceField


def render(
    text: str, *, template: str, wanted_by: str, release: Release, values: dict[str, Any]
) -> str:
    """Render a template; Failure names the template, its line, the variable and the target."""
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["fill"] = release.fill
    try:
        return environment.from_string(text).render(**release.table, fill=release.fill, **values)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise Failure(
            f"{template}{f':{line}' if line else ''}: {error.message} (rendered for {wanted_by})",
            hint=f"known are: {', '.join(sorted({*release.table, *values}))}",
        ) from error


@rule(desc="Render a template")
async def render_file(request: RenderRequest, release: Release) -> GeneratedSources:
    target = request.protocol_target
    template = target[TemplateField].value
    contents = await Get(
        DigestContents,
        PathGlobs(
            [template],
            GlobMatchErrorBehavior.error,
            description_of_origin=f"the field `template` of {target.address}",
        ),
    )
    text = render(
        contents[0].content.decode(),
        template=template,
        wanted_by=str(target.address),
        release=release,
        values=thaw(target[ValuesField].value),
    )
    path = posixpath.join(target.address.spec_path, target[RenderedOutputField].value)
    snapshot = await Get(Snapshot, CreateDigest([FileContent(path, text.encode())]))
    return GeneratedSources(snapshot)


def rules() -> Any:
    return [*collect_rules(), UnionRule(GenerateSourcesRequest, RenderRequest)]
