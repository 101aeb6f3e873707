"""What the targets that a field names package to: the parts of a bundle, a page or a statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pants.core.goals.package import BuiltPackage, PackageFieldSet
from pants.engine.addresses import Addresses, UnparsedAddressInputs
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    FieldSetsPerTarget,
    FieldSetsPerTargetRequest,
    SpecialCasedDependencies,
    Targets,
)

from releasekit.errors import Failure


@dataclass(frozen=True)
class PartsRequest:
    """Ask for the packages of the targets in `field`."""

    field: SpecialCasedDependencies


@dataclass(frozen=True)
class Parts:
    packages: tuple[BuiltPackage, ...]


@rule
async def package_parts(request: PartsRequest) -> Parts:
    """Failure names a target that packages to nothing."""
    unparsed = request.field.to_unparsed_address_inputs()
    targets = await Get(Targets, Addresses, await Get(Addresses, UnparsedAddressInputs, unparsed))
    found = await Get(FieldSetsPerTarget, FieldSetsPerTargetRequest(PackageFieldSet, targets))
    for target, field_sets in zip(targets, found.collection):
        if len(field_sets) != 1:
            raise Failure(
                f"{target.address}: `{target.alias}` is no part for a bundle: it makes no artefact",
                hint="name targets that `./pants package` builds",
            )
    built = await MultiGet(
        Get(BuiltPackage, PackageFieldSet, field_set) for field_set in found.field_sets
    )
    return Parts(tuple(built))


def rules() -> Any:
    return collect_rules()
