"""Upstream's own integration suite, run against the site by an administrator who exists for that alone.

suite.toml says what of it fails on every site and why, and what its specs need.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import tomllib

from backendai_ctl.acceptance import account as accounts
from backendai_ctl.acceptance.account import Account, Agent
from backendai_ctl.acceptance.browser import Browser
from backendai_ctl.acceptance.outcomes import Outcome, Trials
from backendai_ctl.acceptance.visitor import Visitor
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import systemd
from backendai_ctl.topology.addresses import internal_url, public_url

log = logging.getLogger(__name__)
GROUP = "upstream"
ALWAYS = "fails on every site: "
PACKAGE = "backendai-test"
UNIT = "backendai-accept.service"
LIMIT = 240  # seconds for one spec
LIMIT_OF_ALL = 5400
CORES, MEMORY = 1, "512m"  # of a session
MODELS = "accept-models"  # a folder of what specs of services serve
SERVED = {
    "model-definition.yaml": b"""\
models:
  - name: accept
    model_path: /models
    service:
      start_command: [python3, -m, http.server, "8000", --directory, /models]
      port: 8000
      health_check: {path: /health}
""",
    "health": b"ok\n",
}
_LOOK = "see: backendai-ctl logs manager agent"
# It reads nothing of the host's but its programs, and keeps nothing.
_SETTINGS = {
    "DynamicUser": "yes",
    "ProtectHome": "yes",
    "PrivateDevices": "yes",
    "ProtectProc": "invisible",
    "CapabilityBoundingSet": "",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "UMask": "0077",
    "MemoryMax": "2G",
    "WorkingDirectory": "/tmp",
    "RuntimeMaxSec": str(LIMIT_OF_ALL),
}


@dataclass(frozen=True)
class Needs:
    """Free cores on so many nodes; containers of one session."""

    cores: int
    nodes: int = 1
    containers: int = 1


@dataclass(frozen=True)
class Table:
    """failing: {spec: {what it says: why}}; needs: {spec: what it does not run without}; left_out: {spec:
    why it is not run at all}."""

    failing: Mapping[str, Mapping[str, str]]
    needs: Mapping[str, Needs]
    left_out: Mapping[str, str] = MappingProxyType({})


def table() -> Table:
    """What is known of the specs of this release."""
    text = files("backendai_ctl.acceptance").joinpath("suite.toml").read_text("utf-8")
    found = tomllib.loads(text)
    failing: dict[str, dict[str, str]] = {}
    for one in found["failing"]:
        for name in one["specs"]:
            failing.setdefault(name, {})[one["says"]] = one["why"]
    needs = {name: Needs(**one) for one in found["needs"] for name in one.pop("specs")}
    left_out = {name: one["why"] for one in found["left_out"] for name in one["specs"]}
    return Table(failing, needs, left_out)


def require(ctx: Context) -> None:
    """Problem if the suite is not installed."""
    if not any(ctx.paths.environment.glob("lib/python3*/site-packages/ai/backend/test")):
        raise Problem(
            "upstream's suite is not installed on this host",
            hint=f"apt install {PACKAGE}, or: dnf install {PACKAGE}",
        )


def run(ctx: Context, admin: Browser, image: str, tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Run all specs that the site has room for; each is told as it ends."""
    trials = Trials(tell)
    try:
        _run(ctx, admin, image, trials)
    except (Problem, ValueError) as problem:  # what was tried before is reported all the same
        trials.note(Outcome(GROUP, "suite", "fail", str(problem), _LOOK))
    return trials.outcomes


def _run(ctx: Context, admin: Browser, image: str, trials: Trials) -> None:
    known = table()
    policy = admin.query(_POLICY)["keypair_resource_policy"]
    lacking = unmet(known, accounts.agents(admin), int(policy["max_containers_per_session"]))
    for name, reason in sorted(lacking.items()):
        trials.note(Outcome(GROUP, name, "skip", reason))
    host = accounts.host_of(ctx.node)
    account = accounts.make(admin, host, "SUPERADMIN")
    try:
        browser = Browser(admin.url, ctx.paths.tls / "trust.crt")
        trials.attempt(GROUP, "models", lambda: _make_models(Visitor(browser, account)), _LOOK)
        order = {"config": config(ctx, account, image), "limit": LIMIT, "skip": sorted(lacking)}
        call = [str(ctx.paths.python), "-I", "-m", "backendai_command.suite"]
        with systemd.transient(UNIT, call, _SETTINGS, json.dumps(order)) as process:
            for line in process.stdout or ():
                trials.note(judge(json.loads(line), known))
        if process.returncode:
            said = f"it ended early, with status {process.returncode}"
            trials.note(Outcome(GROUP, "suite", "fail", said, f"see: journalctl -u {UNIT}"))
    finally:
        trials.attempt(GROUP, "removed", lambda: _removed(admin, host), _LOOK)


def _make_models(visitor: Visitor) -> str:
    """What its specs expect to be there."""
    folder = visitor.make_folder(MODELS, visitor.volumes()[0], "model")
    for name, content in SERVED.items():
        visitor.upload(folder, name, content)
    return "a folder for the specs of services"


_POLICY = 'query { keypair_resource_policy(name: "default") { max_containers_per_session } }'
_FOLDERS = """
query ($f: String!) { vfolder_list(limit: 100, offset: 0, filter: $f) {
  items { id status ownership_type }
} }
"""


def _removed(admin: Browser, host: str) -> str:
    """Folders of a project are not removed with the account that made them."""
    made = f'(creator ilike "%@{host}") & (name ilike "test-%")'
    for row in admin.query(_FOLDERS, f=made)["vfolder_list"]["items"]:
        if row["ownership_type"] != "group" or row["status"] == "delete-complete":
            continue
        if row["status"] == "ready":
            admin.ask("DELETE", "/func/folders", {"id": row["id"]})
        admin.ask("POST", "/func/folders/delete-from-trash-bin", {"id": row["id"]})
    accounts.clear(admin, host)
    return "its administrator, with all that it made"


def unmet(known: Table, agents: Sequence[Agent], containers: int) -> dict[str, str]:
    """{spec: why it is not run: what the site lacks for it, or what it would leave}.

    `containers`: how many one session may have.
    """
    room = sorted((agent.cores // CORES for agent in agents), reverse=True)
    found = {name: f"{ALWAYS}{why}" for name, why in known.left_out.items()}
    for name, needs in known.needs.items():
        free = sum(room[: needs.nodes])
        if needs.containers > containers:
            found[name] = (
                f"needs sessions of {needs.containers} containers, the site allows {containers}"
            )
        elif needs.nodes > len(room):
            found[name] = f"needs {needs.nodes} nodes with agents, the site has {len(room)}"
        elif needs.cores > free:
            where = "one node" if needs.nodes == 1 else f"{needs.nodes} nodes"
            found[name] = f"needs {needs.cores} free cores on {where}, there are {free}"
    return found


def judge(row: Mapping[str, Any], known: Table) -> Outcome:
    """What a spec's end means."""
    name, failures, seconds = row["name"], row["failures"], round(row["seconds"], 1)
    for one in failures:
        log.debug("%s: %s", name, one["trace"])
    listed_as = known.failing.get(name, {})
    why = "; ".join(listed_as.values())
    if not failures:
        listed = f"passes, although it is listed as failing: {why}"
        return Outcome(GROUP, name, "ok", listed if why else "passes", seconds=seconds)
    if all(any(says in one["error"] for says in listed_as) for one in failures):
        return Outcome(GROUP, name, "skip", f"{ALWAYS}{why}", seconds=seconds)
    message = "; ".join(f"{one['stage'] or 'test'}: {one['error']}" for one in failures)
    return Outcome(GROUP, name, "fail", message, _LOOK, seconds)


def config(ctx: Context, account: Account, image: str) -> dict[str, Any]:
    """What upstream's tester.toml says."""
    return {
        "context": {
            "endpoint": {
                "api_endpoint": internal_url(ctx, "manager", "api"),
                "login_endpoint": public_url(ctx, "webserver", "http"),
            },
            "keypair": {"access_key": account.access_key, "secret_key": account.secret_key},
            "login_credential": {"user_id": account.email, "password": account.password},
            "domain": {"name": account.domain},
            "group": {"name": account.project},
            "scaling_group": {"name": "default"},
            "image": {"name": image, "architecture": "x86_64"},
            "sse": {"timeout": 60},
            "batch_session": {"startup_command": "ls -la", "batch_timeout": 60},
            "session": {"resources": {"cpu": CORES, "mem": MEMORY}},
            "session_imagify": {"new_image_name": "accept"},
            "model_service": {
                "model_vfolder_name": MODELS,
                "model_mount_destination": "/models",
                "model_definition_path": "model-definition.yaml",
                "replicas": 1,
                "group_name": account.project,
            },
            "vfolder": {"group": account.project_id, "permission": "rw", "cloneable": True},
            "user_resource_policy": {"name": "default"},
        }
    }
