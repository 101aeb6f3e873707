"""What the backend adds to Pants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pants.core.util_rules import source_files
from pants.engine.target import Target

from packager import (
    bundle,
    drift,
    gateway,
    inputs,
    inventory,
    manifest,
    own,
    parts,
    pex,
    release,
    render,
    report,
    repositories,
    sbom,
    servers,
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
        targets.BackendaiServerTree,
        targets.RenderedFile,
        targets.GatewayBundle,
        targets.BackendaiWheel,
        targets.BackendaiShare,
        targets.ComponentFacts,
        targets.ServerFacts,
        targets.RoleFacts,
        targets.BackendaiRelease,
        bundle.OfflineBundle,
        sbom.ReleaseSbom,
        report.ReleaseReport,
        repositories.AptRepository,
        repositories.RpmRepository,
        repositories.ArchiveKeyring,
        *NFPM_TARGETS,
    )


def rules() -> Iterable[Any]:
    modules = (
        bundle,
        contents,
        drift,
        gateway,
        inputs,
        inventory,
        manifest,
        nfpm_rules,
        own,
        parts,
        pex,
        release,
        render,
        report,
        repositories,
        sbom,
        servers,
        source_files,
        trees,
    )
    return [rule for module in modules for rule in module.rules()]
