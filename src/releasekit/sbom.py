"""Software bills of materials in CycloneDX 1.6 JSON: `python -m releasekit.sbom SPEC`.

SPEC is an inventory (releasekit.inventory). Written: `sbom/packages/NAME.cdx.json` for every package
of ours, one for its deb and rpm, and `sbom/release.cdx.json` for all. Each is validated against the
schema before it is written. The same inventory gives the same bytes: the serial number follows from
the content, the time stamp is the release's date.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_supported_id
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from releasekit.errors import Failure, run_main
from releasekit.inventory import (
    InventorySpec,
    digest,
    gathered,
    only_in_images,
    own_purl,
    owned_by,
    purl_of,
)
from releasekit.model import File, Inventory, Package, Part, ReleaseFacts
from releasekit.specs import program

FOLDER = "sbom"
# Properties of ours; see docs/SBOM.md.
OWNER = "backendai:package"  # a package of ours that holds the files
EXTENT = "backendai:extent"
EMBEDDED = "backendai:embedded"
NUMBER = "backendai:number"  # the release's, which rises

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/bom")


def licenses(expression: str) -> list[DisjunctiveLicense | LicenseExpression]:
    """A single known licence by its identifier, all else as an SPDX expression."""
    if is_supported_id(expression):
        return [DisjunctiveLicense(id=expression)]
    return [LicenseExpression(expression)]


def hashes(sha256: str) -> list[HashType]:
    """The sha256, if there is one."""
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []


def reference(part: Part) -> str:
    """What names a part inside one bill: its purl, with what tells two uses of it apart."""
    plain = purl_of(part) or f"{part.kind}:{part.name}@{part.version}"
    return f"{plain}#{part.extent}" if part.extent else plain


def of_part(part: Part) -> Component:
    """A part as a component; properties say which package owns its files."""
    said = [(OWNER, package) for package in part.packages]
    said += [(EXTENT, part.extent)] if part.extent else []
    said += [(EMBEDDED, "no file of its own")] if part.kind == "embedded" else []
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=reference(part),
        purl=PackageURL.from_string(purl_of(part)) if purl_of(part) else None,
        hashes=hashes(part.sha256),
        licenses=licenses(part.license),
        copyright=part.copyright or None,
        properties=[Property(name=name, value=value) for name, value in said],
    )


def of_file(file: File, purl: str = "") -> Component:
    """An artefact as a component."""
    return Component(
        name=file.name,
        type=ComponentType.FILE,
        bom_ref=f"file:{file.path}",
        purl=PackageURL.from_string(purl) if purl else None,
        hashes=hashes(file.sha256),
    )


def of_package(package: Package, release: ReleaseFacts) -> Component:
    """A package of ours, with its deb and rpm below it."""
    return Component(
        name=package.name,
        version=release.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"package:{package.name}",
        description=package.summary,
        supplier=OrganizationalEntity(name=release.vendor),
        licenses=licenses(release.license),
        components=[
            of_file(file, own_purl(package, file, release.version)) for file in package.files
        ],
    )


def package_bill(inventory: Inventory, package: Package) -> Bom:
    """The bill of one package: what its files are of."""
    parts = owned_by(inventory.parts, package.name)
    component = of_package(package, inventory.release)
    bill = _bill(inventory, component, [asdict(package), [asdict(part) for part in parts]])
    made = {part: of_part(part) for part in parts}
    bill.components.update(made.values())
    bill.register_dependency(component, made.values())
    _link(bill, made)
    return bill


def release_bill(inventory: Inventory) -> Bom:
    """The bill of the whole release: packages of ours, PEXes, and every part."""
    facts = inventory.release
    component = Component(
        name=facts.name,
        version=facts.version,
        type=ComponentType.APPLICATION,
        bom_ref="release",
        supplier=OrganizationalEntity(name=facts.vendor),
        licenses=licenses(facts.license),
        properties=[Property(name=NUMBER, value=str(facts.number))],
    )
    bill = _bill(inventory, component, asdict(inventory))
    parts = {part: of_part(part) for part in inventory.parts}
    packages = {package.name: of_package(package, facts) for package in inventory.packages}
    pexes = {file.path: of_file(file) for file in inventory.pexes}
    bill.components.update(parts.values())
    bill.components.update(packages.values())
    bill.components.update(pexes.values())
    bill.register_dependency(component, [*packages.values(), *pexes.values()])
    for package in inventory.packages:
        below = [made for part, made in parts.items() if package.name in part.packages]
        needs = [packages[name] for name in package.requires if name in packages]
        bill.register_dependency(packages[package.name], [*needs, *below])
    wheels = {
        part.name: made
        for part, made in parts.items()
        if part.kind == "pypi" and not only_in_images(part)
    }
    for pex in inventory.pexes:
        bill.register_dependency(pexes[pex.path], [wheels[name] for name in pex.distributions])
    _link(bill, parts)
    return bill


def _bill(inventory: Inventory, component: Component, content: Any) -> Bom:
    """A bill without parts; its serial number follows from `content`."""
    date = datetime.fromisoformat(inventory.release.date)
    serial = uuid.uuid5(_NAMESPACE, digest([inventory.release.version, content]))
    return Bom(serial_number=serial, metadata=BomMetaData(component=component, timestamp=date))


def _link(bill: Bom, made: Mapping[Part, Component]) -> None:
    """Register what parts require of each other."""
    by_name = {
        (part.kind, part.name): one
        for part, one in made.items()
        if not part.extent and not only_in_images(part)
    }
    for part, component in made.items():
        # Distributions of our own stand among those of others.
        kinds = ("pypi", "generic") if part.kind in ("pypi", "generic") else (part.kind,)
        needs = [
            by_name[kind, name]
            for name in part.requires
            for kind in kinds
            if (kind, name) in by_name
        ]
        bill.register_dependency(component, needs)


def text_of(bill: Bom, what: str) -> str:
    """The bill as JSON, validated; Failure tells what the schema refuses."""
    text = f"{JsonV1Dot6(bill).output_as_string(indent=1)}\n"
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise Failure(
            f"{what} is not valid CycloneDX 1.6: {error}", hint="mend src/releasekit/sbom.py"
        )
    return text


def write(inventory: Inventory, root: Path) -> None:
    """Write the folder `sbom` below `root`."""
    bills: Iterable[tuple[str, Bom]] = [
        *(
            (f"packages/{package.name}", package_bill(inventory, package))
            for package in inventory.packages
        ),
        ("release", release_bill(inventory)),
    ]
    (root / FOLDER / "packages").mkdir(parents=True, exist_ok=True)
    for name, bill in bills:
        path = f"{FOLDER}/{name}.cdx.json"
        (root / path).write_text(text_of(bill, path), "utf-8")


def make(spec: InventorySpec) -> None:
    """Write the folder to the working folder."""
    write(gathered(spec), Path())


main = program(InventorySpec, make)


if __name__ == "__main__":
    run_main(main)
