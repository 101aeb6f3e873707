"""What the web UI is told and shown by the web server of the lock, with the settings that a site has."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomllib
from upstream import ROOT, Upstream, file, locked

from backendai_serve.webui import HIDE, STYLES

TEMPLATE = ROOT / "packaging/components/webserver/webserver.conf.j2"
STATIC = "ai/backend/web/static/"
THEIRS = ":root { --token-colorPrimary: red; }\n"
SERVE = """
import asyncio, json, pathlib, socket, tomllib
from types import SimpleNamespace
import aiohttp
from aiohttp import web
from ai.backend.web import server
from ai.backend.web.config.unified import WebServerUnifiedConfig

async def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = {"ip": "127.0.0.1", "port": port, "static-path": FOLDER}
    config = WebServerUnifiedConfig.model_validate({"service": service, **tomllib.loads(UI)})
    app = web.Application()
    app["config"], app["manager_pool"] = config, None
    app["stats"] = SimpleNamespace(active_config_handlers=set(), active_webui_handlers=set())
    told = {}
    async with server.webapp_ctx(config, app), aiohttp.ClientSession() as client:
        for path in ("config.toml", STYLES, "resources/other.css", "start"):
            async with client.get(f"http://127.0.0.1:{port}/{path}") as answer:
                told[path] = [answer.status, answer.content_type, await answer.text()]
    print(json.dumps(told))

asyncio.run(main())
"""


def serve(upstream: Upstream, folder: Path, *, changed: bool = True) -> dict[str, Any]:
    (folder / "resources").mkdir(exist_ok=True)
    (folder / "index.html").write_text("<html></html>")
    (folder / STYLES).write_text(THEIRS)
    (folder / "resources/other.css").write_text(THEIRS)
    text = TEMPLATE.read_text("utf-8")
    section = text[text.index("[environments]") : text.index("[session]")]
    section = re.sub(r"\{%.*?%\}\n", "", section)
    section = re.sub(r"\{\{.*?\}\}", '"127.0.0.1:8140/stable/python"', section)
    names = f"FOLDER, STYLES, UI = {str(folder)!r}, {STYLES!r}, {section!r}\n"
    told: dict[str, Any] = json.loads(upstream.run(names + SERVE, changed=changed).splitlines()[-1])
    assert {status for status, _, _ in told.values()} == {200}
    return told


def test_pages_are_told_what_this_site_has_not(upstream: Upstream, tmp_path: Path) -> None:
    told = tomllib.loads(serve(upstream, tmp_path)["config.toml"][2])
    assert told["general"]["allowCLIDownloadPanel"] is False
    assert told["general"]["enableContainerCommit"] is False
    assert told["general"]["defaultSessionEnvironment"] == "127.0.0.1:8140/stable/python"
    assert told["general"]["defaultImportEnvironment"] == "127.0.0.1:8140/stable/python"
    assert told["menu"]["blocklist"] == "pipeline,my-environment,branding,information"
    assert told["menu"]["inactivelist"] == "import"
    assert told["environments"]["showNonInstalledImages"] is True


def test_rules_are_added_to_the_one_stylesheet(upstream: Upstream, tmp_path: Path) -> None:
    told = serve(upstream, tmp_path)
    assert told[STYLES][1:] == ["text/css", THEIRS + HIDE]
    assert told["resources/other.css"][2] == THEIRS
    assert told["start"][1] == "text/html"


def test_upstream_alone_shows_them(upstream: Upstream, tmp_path: Path) -> None:
    """What the other tests show is ours."""
    told = serve(upstream, tmp_path, changed=False)
    assert told[STYLES][2] == THEIRS
    assert "allowCLIDownloadPanel" not in told["config.toml"][2]


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    """The web UI's pages and code of the lock, by name."""
    with zipfile.ZipFile(file(locked()["backend-ai-webserver"])) as wheel:
        names = [
            n for n in wheel.namelist() if n.startswith(STATIC) and n.endswith((".js", ".html"))
        ]
        return {name.removeprefix(STATIC): wheel.read(name).decode() for name in names}


def test_what_is_hidden_is_what_the_pages_have(scripts: dict[str, str]) -> None:
    """A name that a newer web UI gave up would be shown again unseen."""
    assert f'href="{STYLES}"' in scripts["index.html"]
    code = "\n".join(scripts.values())
    named = re.findall(r'\[data-(?:testid|value)="([^"]+)"\]', HIDE) + re.findall(
        r"\.([a-z-]+) ", HIDE
    )
    assert len(set(named)) == 7
    assert [name for name in named if f'"{name}"' not in code and f"`{name}`" not in code] == []
    assert re.search(
        r'requiredMenuKey:["`]import["`]', code
    )  # the card that menu_inactivelist hides
    for key in ("allowCLIDownloadPanel", "enableContainerCommit", "defaultSessionEnvironment"):
        assert key in code
