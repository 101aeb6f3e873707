"""What the backend adds to Pants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pants.core.util_rules import source_files
from pants.engine.target import Target

from packager import (
    drift,
    gateway,
    inputs,
    manifest,
    own,
    pex,
    release,
    render,
    targets,
    trees,
)
from packager.nfpm import contents
from packager.nfpm import rules as nfpm_rules
from packager.nfpm.targets import TARGETS as NFPM_TARGETS


def target_types() -> Iterable[type[Target]]:
    return (
        targets.BackendaiPex,
        targets.BackendaiTree,
        targets.BackendaiRuntimeTree,
        targets.RenderedFile,
        targets.GatewayBundle,
        targets.BackendaiWheel,
        targets.BackendaiShare,
        targets.ComponentFacts,
        targets.RoleFacts,
        targets.BackendaiRelease,
        *NFPM_TARGETS,
    )


def rules() -> Iterable[Any]:
    modules = (
        contents,
        drift,
        gateway,
        inputs,
        manifest,
        nfpm_rules,
        own,
        pex,
        release,
        render,
        source_files,
        trees,
    )
    return [rule for module in modules for rule in module.rules()]
