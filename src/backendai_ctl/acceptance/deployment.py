"""A folder with a model as a service: what the web UI asks of the manager for it."""

from __future__ import annotations

import base64
from typing import Any

IMAGE, VARIANT = "stable/llm-cpu", "llama-cpp"  # of the bundle, and upstream's runtime for it
SIZE = {"cpu": "1", "mem": "512m"}
KNOWN = """
query ($variant: String!) {
  images { id name }
  runtimeVariants(filter: {name: {equals: $variant}}, first: 1) { edges { node { id } } }
  groups(domain_name: "default", type: ["GENERAL"]) { id }
  vfolder_list(limit: 100, offset: 0) { items { id name } }
}
"""
CREATE = """
mutation ($input: CreateDeploymentInput!) {
  createModelDeployment(input: $input) { deployment { id } }
}
"""
ADD = """
mutation ($input: AddRevisionInput!) { addModelRevision(input: $input) { revision { id } } }
"""
TOKEN = """
mutation ($input: CreateAccessTokenInput!) {
  createAccessToken(input: $input) { accessToken { token } }
}
"""
DELETE = """
mutation ($input: DeleteDeploymentInput!) { deleteModelDeployment(input: $input) { id } }
"""
LOOK_AT = """
query ($id: ID!) {
  deployment(id: $id) {
    ... on ModelDeployment {
      metadata { status }
      networkAccess { endpointUrl }
      replicas(limit: 50) { edges { node { sessionId status healthStatus trafficStatus } } }
    }
  }
}
"""
_SERVES = {"status": "RUNNING", "healthStatus": "HEALTHY", "trafficStatus": "ACTIVE"}


def local(node: str) -> str:
    """The number of what a GraphQL node stands for."""
    return base64.b64decode(node).decode().partition(":")[2]


def serving(seen: dict[str, Any]) -> set[str]:
    """Of a deployment that was looked at: numbers of the sessions that answer."""
    rows = [edge["node"] for edge in seen["replicas"]["edges"]]
    return {row["sessionId"] for row in rows if {**row, **_SERVES} == row}


def description(name: str, *, project: str, group: str) -> dict[str, Any]:
    """One replica in a resource group, for who has its token."""
    return {
        "metadata": {
            "projectId": project,
            "domainName": "default",
            "name": name,
            "tags": None,
            "resourceGroupName": group,
        },
        "networkAccess": {"preferredDomainName": None, "openToPublic": False},
        "defaultDeploymentStrategy": {"type": "ROLLING"},
        "replicaCount": 1,
        "initialRevision": None,
    }


def revision(deployment: str, *, image: str, variant: str, folder: str) -> dict[str, Any]:
    """What it runs, with what its form has set; each is named by its number."""
    return {
        "deploymentId": deployment,
        "clusterConfig": {"mode": "SINGLE_NODE", "size": 1},
        "resourceConfig": {
            "resourceSlots": {
                "entries": [{"resourceType": k, "quantity": v} for k, v in SIZE.items()]
            },
            "resourceOpts": None,
        },
        "image": {"id": image},
        "modelRuntimeConfig": {
            "runtimeVariantId": variant,
            "environ": None,
            "runtimeVariantPresetValues": None,
        },
        "modelMountConfig": {
            "vfolderId": folder,
            "mountDestination": "/models",
            "definitionPath": None,
            "subpath": None,
        },
        "modelDefinition": None,  # as the variant has it
        "extraMounts": None,
        "options": {"autoActivate": True},
    }
