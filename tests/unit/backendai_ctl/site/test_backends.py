"""Volumes whose backend has options of its own: what is taken, refused, and shown to nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tomllib

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.rendering import keyed
from backendai_ctl.rendering.render import render
from backendai_ctl.site import backends
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.site.schema import Site, Storage, Volume
from backendai_ctl.validation.load import load

OPTIONS = """\
weka_endpoint = "https://weka.example.org:14000"
weka_password = "hunter2"
weka_verify_ssl = true
nested = { "a key" = [1, 2.5] }
"""


def options(tmp_path: Path, text: str = OPTIONS, mode: int = 0o600) -> Path:
    path = tmp_path / "weka.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def site(path: Path | None, backend: str = "weka") -> Site:
    volume = Volume.model_validate({"backend": backend, "backend_options": path})
    return Site(storage=Storage(volumes={"home": volume}))


def reasons(facts: Facts, backend: str, path: Path | None) -> list[str]:
    given = f'backend_options = "{path}"' if path else ""
    facts.paths.site_file.write_text(
        f'[storage.volumes.home]\nbackend = "{backend}"\n{given}\n',
    )
    try:
        load(facts.paths.site_file, facts)
    except SiteFaults as caught:
        return [f"{fault.key}: {fault.message}" for fault in caught.faults]
    return []


def test_the_storage_proxy_is_given_them(ready: Context, tmp_path: Path) -> None:
    proxy = ready.facts.components["storage-proxy"]
    made = tomllib.loads(render(replace(ready, site=site(options(tmp_path))), proxy))
    home = made["volume"]["home"]
    assert (home["backend"], home["options"]) == ("weka", tomllib.loads(OPTIONS))


def test_their_secrets_are_not_shown(ready: Context, tmp_path: Path) -> None:
    proxy = ready.facts.components["storage-proxy"]
    text = render(replace(ready, site=site(options(tmp_path))), proxy)
    keys = keyed.parse(Path("storage-proxy.toml"), text)
    shown = {key: keyed.shown(key, value) for key, value in keys.items()}
    assert shown["volume.home.options.weka_password"] == "(hidden)"


def test_the_hosts_of_urls_may_be_called(tmp_path: Path) -> None:
    assert backends.hosts(site(options(tmp_path))) == ["weka.example.org"]
    assert backends.hosts(site(tmp_path / "absent")) == []
    assert backends.hosts(Site()) == []


def test_backends_with_and_without_options(facts: Facts, tmp_path: Path) -> None:
    assert reasons(facts, "cephfs", None) == []
    assert reasons(facts, "weka", options(tmp_path)) == []
    key = "storage.volumes.home.backend_options"
    assert reasons(facts, "weka", None) == [f'{key}: is missing with backend = "weka"']
    assert reasons(facts, "vfs", options(tmp_path)) == [f'{key}: has no use with backend = "vfs"']
    (unknown,) = reasons(facts, "xfs", None)
    assert unknown.startswith("storage.volumes.home.backend: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb =\n", ":2: not TOML: "),
        ("a = 2026-01-01\n", ": a: no backend accepts dates, inf and nan"),
        ("a = [nan]\n", ": a: no backend accepts dates, inf and nan"),
    ],
)
def test_unusable_options_are_refused(facts: Facts, tmp_path: Path, text: str, said: str) -> None:
    path = options(tmp_path, text)
    (found,) = reasons(facts, "weka", path)
    assert f"{path}{said}" in found
    with pytest.raises(Problem):
        backends.options(site(path).storage.volumes["home"])


def test_options_open_to_everybody_are_refused(facts: Facts, tmp_path: Path) -> None:
    (found,) = reasons(facts, "weka", options(tmp_path, mode=0o644))
    assert "is open to everybody" in found
