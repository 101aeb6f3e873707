"""Promise: what a site file makes of each template is what that component's own model accepts.

A release whose settings its programs refuse builds, installs and never starts. Held against the locked
wheels, with every key of the site file said at least once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tomllib
from guides import EXAMPLE, EXAMPLES
from site_nodes import FOUR, At
from upstream import shared, unpack

from backendai_ctl.context import Context
from backendai_ctl.etcd import settings
from backendai_ctl.rendering.render import render, with_config
from backendai_ctl.site import reference
from backendai_ctl.site.reference import Schema
from backendai_ctl.site.schema import Site
from backendai_ctl.steps import create_secrets

EXTERNAL = """
[database]
mode = "external"
endpoints = ["db1.example.org:5432", "db2.example.org:5433"]
ca = "/etc/backendai/database.crt"
keep_dumps = 3
[database.manager]
name = "mgr"
user = "mgr_user"
password_file = "/etc/backendai/secrets/mgr"
[cache]
mode = "external"
password_file = "/etc/backendai/secrets/cache"
tls = "on"
ca = "/etc/backendai/cache.crt"
certificate = "/etc/backendai/cache-client.crt"
key = "/etc/backendai/cache-client.key"
[cache.sentinel]
service = "mymaster"
nodes = ["192.0.2.5:26379", "192.0.2.6:26379"]
password_file = "/etc/backendai/secrets/sentinel"
[etcd]
mode = "external"
endpoints = ["192.0.2.7:2379"]
namespace = "other"
user = "of-the-site"
password_file = "/etc/backendai/secrets/etcd"
tls = "on"
certificate = "/etc/backendai/etcd-client.crt"
key = "/etc/backendai/etcd-client.key"
"""
OWN = """
[site]
address = "ai.example.org"
[user]
name = "compute"
uid = 1200
gid = 1200
[admin]
username = "root"
[tls]
mode = "own"
certificate = "/etc/backendai/tls/own.crt"
key = "/etc/backendai/tls/own.key"
[database]
port = 8101
[cache]
port = 8111
[agent]
address = "127.0.0.1"
bridge = "172.30.0.1"
group = "gpu"
cluster_network = "10.200.0.0/16"
cluster_port = 6105
container_ports = [31000, 31900]
reserved_cpu = 2
reserved_memory = "8G"
reserved_disk = "20G"
[agent.docker]
debug = true
[sessions]
max_cpu = 128
max_devices = 16
max_shared_memory = 64
[registries.site]
kind = "gitlab"
url = "https://registry.example.org"
api = "https://api.example.org"
project = "library"
[storage]
proxy = "first"
default = "home"
[storage.volumes.home]
kind = "nfs"
server = "192.0.2.8"
export = "/export/home"
options = "vers=4.2"
permit = true
"""
OPEN = """
[tls]
mode = "off"
"""
NODES = """
[nodes.edge]
address = "10.77.0.21"
roles = ["edge"]
public = "www.example.org"
"""
DISTRIBUTIONS = [
    f"backend-ai-{name}"
    for name in (
        "account-manager",
        "agent",
        "appproxy-coordinator",
        "appproxy-worker",
        "manager",
        "storage-proxy",
        "webserver",
    )
]
# The gateway is a program of npm, without a model.
MODELS = {
    "manager": "ai.backend.manager.config.unified:ManagerUnifiedConfig",
    "agent": "ai.backend.agent.config.unified:AgentUnifiedConfig",
    "storage-proxy": "ai.backend.storage.config.unified:StorageProxyUnifiedConfig",
    "webserver": "ai.backend.web.config.unified:WebServerUnifiedConfig",
    "appproxy-coordinator": "ai.backend.appproxy.coordinator.config:ServerConfig",
    "appproxy-worker": "ai.backend.appproxy.worker.config:ServerConfig",
    "appproxy-tcp-worker": "ai.backend.appproxy.worker.config:ServerConfig",
    "account-manager": "ai.backend.account_manager.config:ServerConfig",
}
# It has none for it, and reads it.
WITHOUT_MODEL = {"account-manager: no setting logging"}
OPTIONS = 'weka_endpoint = "https://192.0.2.9:14000"\n'  # of a storage backend
# As the programs do when they start; and names that no model knows, which they would pass over.
VALIDATE = """
import importlib, json, sys, tomllib, typing
from pathlib import Path
from pydantic import AliasChoices, BaseModel
from ai.backend.agent.config.unified import AgentConfigValidationContext
from ai.backend.common.configs.loader.loader_chain import merge_configs
from ai.backend.logging.types import LogLevel

context = AgentConfigValidationContext(
    debug=False, log_level=LogLevel.NOTSET, is_invoked_subcommand=True
)

def names(key, field):
    alias = field.validation_alias or field.alias
    more = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return {key, *(name for name in more if isinstance(name, str))}

def models(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in models(part)]

def unknown(model, said, where):
    known = {name: field for key, field in model.model_fields.items() for name in names(key, field)}
    for key, value in said.items():
        if key not in known:
            yield f"{where}{key}"
            continue
        inner = models(known[key].annotation)
        named = str(known[key].annotation).rpartition("dict[str, ")[1]  # such as volumes, by name
        tables = value if isinstance(value, list) else value.values() if named else [value]
        for table in (table for table in tables if isinstance(table, dict) and len(inner) == 1):
            yield from unknown(inner[0], table, f"{where}{key}.")

for path in sorted(Path(sys.argv[1]).glob("*/*.toml")):
    module, _, name = path.stem.partition(":")
    model = getattr(importlib.import_module(module), name)
    said = tomllib.loads(path.read_text())
    said.setdefault("debug", {})["enabled"] = False
    said = getattr(importlib.import_module(module), "config_key_to_snake_case", dict)(said)
    more = path.with_name("etcd.json")
    whole = merge_configs(json.loads(more.read_text()), said) if more.exists() else said
    try:
        model.model_validate(whole, context=context, by_name=True)
        wrong = [f"no setting {key}" for key in unknown(model, said, "")]
    except Exception as error:
        listed = getattr(error, "extra_data", {}).get("errors", ())
        wrong = [f"{one['loc']}: {one['msg']}" for one in listed] or [str(error)]
    for line in wrong:
        print(f"{path.parent.name}: {line}")
"""


def write(ctx: Context, folder: Path) -> int:
    """Render what this host has into a folder of its own; how many files."""
    folder.mkdir(parents=True)
    create_secrets.CreateSecrets().apply(ctx)
    found = 0
    for component in with_config(ctx):
        if component.name in MODELS:
            target = folder.parent / f"{folder.name} {component.name}"
            target.mkdir()
            text = render(ctx, component)
            for name in re.findall(r"/run/credentials/[^/]+/([\w.-]+)", text):
                (target / name).write_text("given by systemd\n")
            text = re.sub(r"/run/credentials/[^/]+/", f"{target}/", text)
            (target / f"{MODELS[component.name]}.toml").write_text(text)
            if component.name == "manager":
                (target / "etcd.json").write_text(json.dumps(from_etcd(ctx)))
            found += 1
    return found


def from_etcd(ctx: Context) -> dict[str, Any]:
    """What the manager reads beside its file."""
    made: dict[str, Any] = {}
    for key, value in settings.wanted(ctx).items():
        *tables, name = key.removeprefix("config/").split("/")
        table = made
        for one in tables:
            table = table.setdefault(one, {})
        table[name] = value
    return made


def given(text: str, folder: Path) -> str:
    """An example with the operator's files below `folder`, where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in re.findall(r"/etc/backendai/(?:\w+/)?([\w.-]+)", text):
        (folder / name).write_text(OPTIONS if name.endswith(".toml") else "of-the-operator\n")
        (folder / name).chmod(0o600)
    return re.sub(r"/etc/backendai/(?:\w+/)?", f"{folder}/", text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "rendered"


def leaves(part: Schema, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all keys with a value; `*` where tables are named at will."""
    here = reference.resolve(part)
    free = [here.get("additionalProperties"), *here.get("patternProperties", {}).values()]
    inner = [("*", value) for value in free if isinstance(value, dict)]
    inner += list(here.get("properties", {}).items())
    for key, value in inner:
        yield from leaves(value, (*where, key))
    if not inner:
        yield where


def said(table: Mapping[str, object], where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*where, key)
        if isinstance(value, dict):
            yield from said(value, (*where, key))


def test_every_key_of_the_site_file_is_said_once() -> None:
    texts = [*EXAMPLES, EXAMPLE, EXTERNAL, OWN, NODES, FOUR]
    found = {path for text in texts for path in said(tomllib.loads(text))}

    def met(leaf: tuple[str, ...]) -> bool:
        return any(
            len(path) == len(leaf)
            and all(one in ("*", other) for one, other in zip(leaf, path, strict=True))
            for path in found
        )

    assert [".".join(leaf) for leaf in leaves(reference.schema()) if not met(leaf)] == []


def test_the_models_of_all_components_are_known(ready: Context) -> None:
    assert {c.name for c in ready.facts.components.values() if c.config} - {"gateway"} == set(
        MODELS
    )


def test_every_component_reads_what_it_is_given(
    ready: Context, at: At, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    facts = ready.facts
    for component in facts.components.values():
        (ready.paths.units / component.unit).touch()
    assert write(ready, folder / "single") == len(MODELS)
    for number, text in enumerate([EXTERNAL, OWN, OPEN, EXAMPLE, *EXAMPLES]):
        site = Site.model_validate(tomllib.loads(given(text, folder.parent / "given")))
        if not site.nodes and not any(v.proxies for v in site.storage.volumes.values()):
            write(Context(facts, site), folder / f"site-{number}")
    for node in ("mgmt", "store", "gpu1", "gpu2", "edge"):
        write(at(node, NODES), folder / node)
    upstream = unpack(shared(tmp_path_factory), DISTRIBUTIONS)
    lines = upstream.run(VALIDATE.replace("sys.argv[1]", json.dumps(str(folder)))).splitlines()
    assert {line for line in lines if line.partition(" ")[2] not in WITHOUT_MODEL} == set()
    assert lines, "the look for unknown names finds what there is"
