"""Has the web UI show nothing that leads out of a closed site, where webserver.conf has no word for it.

Pages load `resources/custom.css`, a stylesheet that upstream leaves to operators: to what is in it are
added rules that hide the rest. What is hidden is named as upstream's own tests name it. And `config.toml`,
from which the pages take their settings, says what upstream's web server cannot be told to say.
"""

from __future__ import annotations

import functools
from typing import Any

from backendai_serve.patches import part

STYLES = "resources/custom.css"
HIDE = """
/* The manual at its authors' site. */
[data-testid="button-help"], [data-value="action:open-manual"],
/* Terms of Backend.AI Cloud, which are not those of this site, with the dot behind each. */
[data-testid="button-terms-of-service"], [data-testid="button-terms-of-service"] + *,
[data-testid="button-privacy-policy"], [data-testid="button-privacy-policy"] + *,
/* A model hub, and a search for newer releases that only the desktop application has. */
[data-testid="items-experimental-import-from-huggingface"],
[data-testid="items-automatic-update-check"],
/* Release notes and licences at their authors' site. */
.about-backendai-modal a[href^="https://"] { display: none !important; }
/* "Powered by", which one of those ended. */
.about-backendai-modal p:has(> a[href^="https://"])::first-line { font-size: 0; }
"""
SECTION = "[general]\n"
# Programs for the command line, at their authors' site.
TOLD = "allowCLIDownloadPanel = false\n"


def close(module: Any) -> None:
    """Change what the web server's module answers for two addresses."""
    _styles(module)
    _settings(module)


def _styles(module: Any) -> None:
    serve = part(module, "console_handler")
    cached = part(module, "apply_cache_headers")

    @functools.wraps(serve)
    async def console_handler(request: Any) -> Any:
        if request.match_info["path"] != STYLES:
            return await serve(request)
        theirs = (request.app["config"].service.static_path / STYLES).read_text("utf-8")
        answer = module.web.Response(text=theirs + HIDE, content_type="text/css", charset="utf-8")
        return cached(answer, STYLES)

    module.console_handler = console_handler


def _settings(module: Any) -> None:
    tell = part(module, "config_toml_handler")

    @functools.wraps(tell)
    async def config_toml_handler(request: Any) -> Any:
        answer = await tell(request)
        answer.text = answer.text.replace(SECTION, SECTION + TOLD, 1)
        return answer

    module.config_toml_handler = config_toml_handler
