"""All steps, in the order in which they are tried."""

from __future__ import annotations

from importlib import import_module

from backendai_ctl.steps.base import Step

NAMES = (
    "create-user",
    "create-secrets",
    "create-certificates",
    "open-tunnels",
    "move-servers",
    "prepare-cache",
    "prepare-etcd",
    "prepare-database",
    "create-databases",
    # Before what asks for the containers' bridge, which it makes.
    "prepare-engine",
    "create-rpc-keypair",
    "create-volumes",
    "export-volumes",
    "apply-firewall",
    "confine-containers",
    "seed-etcd",
    # With its files a service starts as soon as its own steps are done (reconfigure.Early), so what
    # takes long and concerns only the manager comes last.
    "render-configs",
    "migrate-coordinator-schema",
    "migrate-manager-schema",
    "load-initial-data",
    "provision-roles",
    "create-resource-groups",
    "register-app-proxy",
    "permit-volumes",
    "register-images",
    "start-services",
)


def steps() -> list[Step]:
    """One object a step: STEP of the module of its name."""
    return [_step(name) for name in NAMES]


def _step(name: str) -> Step:
    module = import_module(f"backendai_ctl.steps.{name.replace('-', '_')}")
    step: Step = module.STEP
    return step
