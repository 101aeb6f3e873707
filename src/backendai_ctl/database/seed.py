"""The first rows of a new site, derived from the examples that the same release ships.

What makes the examples a running system is kept: domain, projects, policies, the graph of rights,
presets. Their accounts, keys and passwords are not, except the shape of the first administrator.
"""

from __future__ import annotations

import base64
import copy
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendai_ctl.errors import Problem

Rows = list[dict[str, Any]]
Seed = dict[str, Rows]

# Each file after those that its rows refer to.
FILES = (
    "users",
    "keypairs",
    "resource-slot-types",
    "resource-presets",
    "runtime-variants",
    "runtime-variant-presets",
    "role-presets",
    "prometheus-query-preset-categories",
    "prometheus-query-presets",
    "retention-policies",
)
# Each of them has to permit a volume host: column allowed_vfolder_hosts.
HOST_TABLES = ("domains", "groups", "keypair_resource_policies")
HOST_PERMISSIONS = (
    "create-vfolder",
    "modify-vfolder",
    "delete-vfolder",
    "mount-in-session",
    "upload-file",
    "download-file",
    "invite-others",
    "set-user-specific-permission",
)


@dataclass(frozen=True)
class Wanted:
    """What this site puts in the place of the examples. Not to be printed."""

    email: str
    username: str
    password: str
    secret_key: str
    group: str  # scaling group (resource group)
    hosts: tuple[str, ...]  # PROXY:VOLUME
    proxy_address: str
    proxy_token: str
    registries: tuple[dict[str, Any], ...]  # rows of container_registries

    @property
    def access_key(self) -> str:
        """The public half of the API key; the same on every run, and it tells nothing."""
        digest = hmac.digest(self.secret_key.encode(), b"access key", "sha256")
        return "AKIA" + base64.b32encode(digest[:10]).decode()


def read(folder: Path) -> Seed:
    """The examples of the installed release, in an order in which they can be loaded."""
    seed: Seed = {}
    for name in FILES:
        path = folder / f"example-{name}.json"
        try:
            tables = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Problem(
                f"{path}: {error}", hint="install the package again: backendai-manager"
            ) from error
        seed.update((table, rows) for table, rows in tables.items() if not table.startswith("__"))
    return seed


def derive(examples: Seed, wanted: Wanted) -> Seed:
    """One administrator and what belongs to a site. Problem if the examples are of another kind."""
    seed = copy.deepcopy(examples)
    administrators = [row for row in seed["users"] if row["role"] == "superadmin"]
    if len(administrators) != 1:
        raise Problem(
            f"the release's examples have {len(administrators)} administrators, not one",
            hint="this backendai-ctl is for another release: install matching packages",
        )
    admin = administrators[0]
    others = {row["uuid"] for row in seed["users"]} - {admin["uuid"]}
    for project in seed["groups"]:
        if project["type"] != "personal":
            project["creator_id"] = admin["uuid"]
    seed = _without(seed, others)
    _name_admin(seed, admin["uuid"], wanted)
    _allow(seed, wanted)
    for group in seed["scaling_groups"]:
        group["name"] = wanted.group
        group["wsproxy_addr"] = wanted.proxy_address
        group["wsproxy_api_token"] = wanted.proxy_token
    for preset in seed["resource_presets"]:  # a number, which upstream writes as text
        if "shared_memory" in preset:
            preset["shared_memory"] = int(preset["shared_memory"])
    for policy in seed["retention_policies"]:  # else rows of what is over pile up for ever
        policy["enabled"] = True
    _watch(seed)
    seed["container_registries"] = list(wanted.registries)
    return seed


def _watch(seed: Seed) -> None:
    """Have services of llama.cpp replaced when they answer no more, with the half hour to load of others."""
    for variant in seed["runtime_variants"]:
        for model in variant["default_model_definition"]["models"]:
            check = model["service"].get("health_check", {})
            if check and "enable" not in check:  # the others say so or say not
                check |= {"enable": True, "initial_delay": 1800.0}


def _without(seed: Seed, gone: set[str]) -> Seed:
    """Rows that are not, and do not refer to, what is gone; nor to rows left out for that."""
    while True:
        kept = {
            table: [row for row in rows if not _refers(row.values(), gone)]
            for table, rows in seed.items()
        }
        dropped = {
            row["id"]
            for table, rows in seed.items()
            for row in rows
            if "id" in row and row not in kept[table]
        }
        if dropped <= gone:
            return kept
        gone = gone | dropped


def _refers(values: Iterable[Any], gone: set[str]) -> bool:
    return any(isinstance(value, str) and value in gone for value in values)


def _name_admin(seed: Seed, uuid: str, wanted: Wanted) -> None:
    for user in seed["users"]:
        user |= {
            "email": wanted.email,
            "username": wanted.username,
            "password": wanted.password,
            "full_name": "Administrator",
            "description": "The first administrator",
        }
    for project in seed["groups"]:
        if project["type"] == "personal":
            project["name"] = wanted.username
    for keypair in seed["keypairs"]:
        keypair |= {"access_key": wanted.access_key, "secret_key": wanted.secret_key}
    if [row["user"] for row in seed["keypairs"]] != [uuid]:
        raise Problem(
            "the release's examples have not exactly one key for the administrator",
            hint="this backendai-ctl is for another release: install matching packages",
        )


def _allow(seed: Seed, wanted: Wanted) -> None:
    """Every volume of the site to everybody, and images of its registries."""
    hosts = {host: list(HOST_PERMISSIONS) for host in wanted.hosts}
    for table in HOST_TABLES:
        for row in seed[table]:
            row["allowed_vfolder_hosts"] = hosts
    for domain in seed["domains"]:
        domain["allowed_docker_registries"] = [row["registry_name"] for row in wanted.registries]
