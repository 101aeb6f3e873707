"""Room in the site's own etcd: old revisions away, free pages back to the disk, no alarm left."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.etcd import access
from backendai_ctl.etcd.client import Client, Refused

_COMPACTED = "has been compacted"
_NOSPACE = "NOSPACE"
TIMEOUT = 300.0  # seconds for one member, which writes its whole file anew


@dataclass(frozen=True)
class Defragmented:
    """One member; sizes of its file in bytes."""

    endpoint: str
    before: int
    after: int


def defragment(ctx: Context) -> list[Defragmented]:
    """Compact, defragment each member, one after the other, and disarm NOSPACE.

    BadRequest where etcd is not this host's own; Unreachable, or Refused. Problem, after all that, where
    another alarm is on: that one is not of space.
    """
    if ctx.site.etcd.mode != "local":
        raise BadRequest(
            f"the etcd of this host's services is at {', '.join(ctx.site.etcd.endpoints)}",
            hint="run it on the node that runs etcd; for an external etcd, use etcdctl",
        )
    client = access.connect(ctx)
    endpoints = list(ctx.site.etcd.endpoints)
    _compact(client, int(client.member(endpoints[0])["header"]["revision"]))
    done = []
    for endpoint in endpoints:
        before = _size(client, endpoint)
        client.defragment(endpoint, TIMEOUT)
        done.append(Defragmented(endpoint, before, _size(client, endpoint)))
    alarms = client.alarms()
    for alarm in alarms:
        if alarm.get("alarm") == _NOSPACE:
            client.disarm(alarm)
    if others := {kind for a in alarms if (kind := a.get("alarm", "")) != _NOSPACE}:
        raise Problem(f"etcd: alarm {', '.join(sorted(others))}", hint="see: backendai-ctl doctor")
    return done


def _compact(client: Client, revision: int) -> None:
    try:
        client.call("kv/compaction", {"revision": str(revision), "physical": True})
    except Refused as refused:
        if _COMPACTED not in refused.message:
            raise


def _size(client: Client, endpoint: str) -> int:
    return int(client.member(endpoint).get("dbSize", 0))
