"""What the backend adds to Pants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pants.core.util_rules import source_files
from pants.engine.target import Target

from packager import (
    artefacts,
    bundle,
    drift,
    gateway,
    images,
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
    tailor,
    targets,
    trees,
    zip_app,
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
        images.SessionImage,
        images.SessionImages,
        bundle.OfflineBundle,
        sbom.ReleaseSbom,
        report.ReleaseReport,
        repositories.AptRepository,
        repositories.RpmRepository,
        repositories.ArchiveKeyring,
        zip_app.ZipApp,
        *NFPM_TARGETS,
    )


def rules() -> Iterable[Any]:
    modules = (
        artefacts,
        bundle,
        contents,
        drift,
        gateway,
        images,
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
        tailor,
        trees,
        zip_app,
    )
    return [rule for module in modules for rule in module.rules()]
