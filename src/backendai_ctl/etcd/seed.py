"""Seeding etcd with the services' settings: three-way, in one transaction, and back.

The base (what was shipped last) and what it takes to undo are kept in etcd itself, below a prefix
of our own, so they are one with the settings whatever happens. Values may be secrets: see `shown`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.etcd import access, settings
from backendai_ctl.etcd.client import Client, Entry
from backendai_ctl.etcd.export import export
from backendai_ctl.platform import files, threeway
from backendai_ctl.platform.clock import now

TRIES = 5  # against others who write at the same time
_SECRET = re.compile(r"(password|secret|token|key)$")


@dataclass(frozen=True)
class Plan:
    """What seeding would do. Keys are below the services' prefix."""

    merge: threeway.Merge[str]
    wanted: dict[str, str]
    base: dict[str, str] | None  # None: never seeded
    seen: dict[str, int] = field(repr=False)  # full key -> revision at which it was read

    @property
    def needed(self) -> bool:
        return bool(self.merge.changes) or self.base != self.wanted


@dataclass(frozen=True)
class Undo:
    """What undo would do. `kept`: edited since, so they stay: key -> (yours, before)."""

    changes: dict[str, tuple[str | None, str | None]]
    kept: dict[str, tuple[str | None, str | None]]
    first: bool  # it was the first seeding: etcd will be as if it never had been
    time: str
    seen: dict[str, int] = field(repr=False)


def plan(ctx: Context, client: Client, take: Sequence[str] = ()) -> Plan:
    """Compare what is shipped with etcd; `take` names keys whose edits are given up.

    Raises BadRequest for a key that is none of ours.
    """
    wanted = settings.wanted(ctx)
    for key in take:
        if key not in wanted:
            raise BadRequest(f"{key} is not shipped", hint=f"keys are: {', '.join(wanted)}")
    base = _record(client, ctx, "base")
    keys = list(dict.fromkeys([*wanted, *(base or {})]))
    found = client.snapshot([*_full(ctx, keys), *_own(ctx)])
    if base != _parse(ctx, "base", found):
        return plan(ctx, client, take)  # it changed between the two readings
    yours = _yours(ctx, found)
    left = {key: value for key, value in (base or {}).items() if key not in take}
    left |= {key: yours[key] for key in take if key in yours}
    merged = threeway.merge(left, yours, wanted)
    return Plan(merged, wanted, base, _seen(found, [*_full(ctx, keys), *_own(ctx)]))


def seed(ctx: Context, take: Sequence[str] = ()) -> Plan:
    """Bring etcd to what is shipped, edits aside; the plan that was carried out.

    Pending if others keep writing the same keys; Problem if etcd does not hold it afterwards.
    """
    client = access.connect(ctx)
    for _ in range(TRIES):
        now_planned = plan(ctx, client, take)
        if not now_planned.needed or _commit(ctx, client, now_planned):
            _flag(ctx, client)
            return now_planned
    raise _contended()


def plan_undo(ctx: Context, client: Client) -> Undo:
    """What restoring the values before the last seeding takes. BadRequest if there was none."""
    record = _record(client, ctx, "undo")
    if record is None:
        raise BadRequest("etcd was not seeded since the last undo", hint="nothing is to be done")
    keys = list(record["after"])
    found = client.snapshot([*_full(ctx, keys), *_own(ctx)])
    yours = _yours(ctx, found)
    changes, kept = {}, {}
    for key, after in record["after"].items():
        now_there, before = yours.get(key), record["before"].get(key)
        if now_there == after and before != after:
            changes[key] = (now_there, before)
        elif now_there != before:
            kept[key] = (now_there, before)
    seen = _seen(found, [*_full(ctx, keys), *_own(ctx)])
    return Undo(changes, kept, record["base"] is None, record["time"], seen)


def undo(ctx: Context) -> Undo:
    """Restore the values before the last seeding. They count as your edits from then on.

    After the first seeding there is nothing to go back to but the state without any: then the next
    run seeds again.
    """
    client = access.connect(ctx)
    for _ in range(TRIES):
        planned = plan_undo(ctx, client)
        export(ctx, client)
        put, delete = _writes(ctx, {key: pair[1] for key, pair in planned.changes.items()})
        delete.append(_name(ctx, "undo"))
        if planned.first:
            delete.append(_name(ctx, "base"))
        else:  # written again, unchanged: its revision tells services of the change
            put[_name(ctx, "base")] = json.dumps(_record(client, ctx, "base"), sort_keys=True)
        if client.commit(planned.seen, put, delete):
            _verify(client, put, delete)
            _flag(ctx, client)
            return planned
    raise _contended()


def forget(ctx: Context) -> None:
    """Remove every key that is as we shipped it, and our own keys."""
    client = access.connect(ctx)
    base = _record(client, ctx, "base") or {}
    found = client.snapshot([*_full(ctx, base), *_own(ctx)])
    yours = _yours(ctx, found)
    ours = [key for key, value in base.items() if yours.get(key) == value]
    delete = [key for key in [*_full(ctx, ours), *_own(ctx)] if key in found]
    if delete:
        export(ctx, client)
        if not client.commit(_seen(found, delete), {}, delete):
            raise _contended()
    flag(ctx).unlink(missing_ok=True)


def flag(ctx: Context) -> Any:
    """Holds the revision of the last seeding: services are started with what it wrote."""
    return ctx.paths.ctl / "etcd-seed"


def flagged(ctx: Context, client: Client) -> bool:
    """Whether the flag is that of the last seeding."""
    return files.read(flag(ctx)) == _stamp(ctx, client)


def shown(key: str, value: str | None) -> str:
    """A value for people, without secrets."""
    if value is None:
        return "(absent)"
    if _SECRET.search(key):
        return "(secret)"
    return value or '""'


def difference(key: str, old: str | None, new: str | None) -> str:
    """How a key changes, for people, without secrets."""
    before, after = shown(key, old), shown(key, new)
    return f"{before} -> another {after}" if before == after else f"{before} -> {after}"


def _commit(ctx: Context, client: Client, planned: Plan) -> bool:
    export(ctx, client)
    changes = {key: pair[1] for key, pair in planned.merge.changes.items()}
    put, delete = _writes(ctx, changes)
    put[_name(ctx, "base")] = json.dumps(planned.wanted, sort_keys=True)
    if changes:
        before = {key: pair[0] for key, pair in planned.merge.changes.items()}
        record = {"time": now(), "before": before, "after": changes, "base": planned.base}
        put[_name(ctx, "undo")] = json.dumps(record, sort_keys=True)
    if not client.commit(planned.seen, put, delete):
        return False
    _verify(client, put, delete)
    return True


def _verify(client: Client, put: Mapping[str, str], delete: Sequence[str]) -> None:
    found = client.snapshot([*put, *delete])
    wrong = [key for key, value in put.items() if key not in found or found[key].value != value]
    wrong += [key for key in delete if key in found]
    if wrong:
        raise Problem(
            f"etcd does not hold what was written just now: {', '.join(wrong)}",
            hint="another program writes it, too; run: backendai-ctl etcd diff",
        )


def _writes(ctx: Context, changes: Mapping[str, str | None]) -> tuple[dict[str, str], list[str]]:
    prefix = access.services_prefix(ctx)
    put = {prefix + key: value for key, value in changes.items() if value is not None}
    return put, [prefix + key for key, value in changes.items() if value is None]


def _flag(ctx: Context, client: Client) -> None:
    files.write(flag(ctx), _stamp(ctx, client), mode=0o600)


def _stamp(ctx: Context, client: Client) -> str:
    name = _name(ctx, "base")
    entry = client.snapshot([name]).get(name)
    return f"{entry.revision if entry else 0}\n"


def _record(client: Client, ctx: Context, which: str) -> Any:
    return _parse(ctx, which, client.snapshot([_name(ctx, which)]))


def _parse(ctx: Context, which: str, found: Mapping[str, Entry]) -> Any:
    """What is in a key of ours, None if there is no such key. Problem if somebody spoilt it."""
    name = _name(ctx, which)
    if name not in found:
        return None
    try:
        data = json.loads(found[name].value)
        if data is None or isinstance(data, dict):
            return data
    except ValueError:
        pass
    call = "etcdctl"
    if ctx.site.etcd.mode == "local":
        call = f"{ctx.paths.servers}/etcd/bin/etcdctl --endpoints={ctx.site.etcd.endpoints[0]}"
    login = f"--user {access.ROOT} " if access.administered(ctx) else ""
    raise Problem(
        f"etcd: {name} holds no JSON object; backendai-ctl alone writes it",
        hint=f"put its value in a copy ({ctx.paths.backups}/etcd-*.json) back, or remove it, "
        f"which leaves all settings as they are: {call} {login}del {name}",
    )


def _name(ctx: Context, which: str) -> str:
    return access.own_prefix(ctx) + which


def _own(ctx: Context) -> list[str]:
    return [_name(ctx, "base"), _name(ctx, "undo")]


def _full(ctx: Context, keys: Sequence[str] | Mapping[str, str]) -> list[str]:
    return [access.services_prefix(ctx) + key for key in keys]


def _yours(ctx: Context, found: Mapping[str, Entry]) -> dict[str, str]:
    prefix = access.services_prefix(ctx)
    return {
        key.removeprefix(prefix): entry.value
        for key, entry in found.items()
        if key.startswith(prefix)
    }


def _seen(found: Mapping[str, Entry], keys: Sequence[str]) -> dict[str, int]:
    return {key: found[key].revision if key in found else 0 for key in keys}


def _contended() -> Pending:
    return Pending(
        "etcd keys changed during each write: another program writes the same keys",
        hint="see who does, then run: backendai-ctl etcd seed",
    )
