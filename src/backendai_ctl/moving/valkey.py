"""The content of Valkey: taken over by replication, which ends before any service starts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.moving import debian
from backendai_ctl.moving.evidence import Former, drop_in, ours
from backendai_ctl.platform import files, resp, units
from backendai_ctl.services import serving
from backendai_ctl.topology import layout

UNIT = "valkey-server.service"
TIMEOUT = 1800  # seconds for all content to arrive, and to be in the append-only file
IDLE = 60  # seconds without any progress
_AGAIN = "backendai-ctl reconfigure"
_OURS = range(11)  # numbers of Backend.AI's databases
_POLL = 0.2  # seconds
# Name, kind, time of expiry and hash of each key of a part of a database.
_LOOK = """
local function text(items)
  local out = {}
  for i, item in ipairs(items) do
    item = type(item) == 'table' and text(item) or tostring(item)
    out[i] = #item .. ':' .. item
  end
  return table.concat(out)
end
local function pairs_of(items)
  local out = {}
  for i = 1, #items, 2 do out[#out + 1] = text({items[i], items[i + 1]}) end
  table.sort(out)
  return out
end
local read = {
  string = function(k) return {redis.call('GET', k)} end,
  list = function(k) return redis.call('LRANGE', k, 0, -1) end,
  set = function(k) local out = redis.call('SMEMBERS', k); table.sort(out); return out end,
  zset = function(k) return redis.call('ZRANGE', k, 0, -1, 'WITHSCORES') end,
  hash = function(k) return pairs_of(redis.call('HGETALL', k)) end,
  stream = function(k)
    return {redis.call('XRANGE', k, '-', '+'), redis.call('XINFO', 'GROUPS', k)}
  end,
}
local part = redis.call('SCAN', ARGV[1], 'COUNT', 200)
local out = {part[1]}
for _, k in ipairs(part[2]) do
  local kind = redis.call('TYPE', k).ok
  local content = read[kind] and text(read[kind](k)) or ''
  out[#out + 1] = redis.sha1hex(k) .. ' ' .. redis.call('PEXPIRETIME', k) .. ' ' .. kind .. ' '
    .. redis.sha1hex(content)
end
return out
"""


def kept_config(ctx: Context) -> Path:
    """Where the old server's file is from now on: ours has its name."""
    return ctx.paths.config / "debian-valkey.conf"


def check(ctx: Context, former: Former) -> None:
    """Problem unless it takes our password, or while other nodes of the site use it."""
    with _old(ctx, former) as server:
        near = {"127.0.0.1", "::1", ctx.site.agent.address}
        nodes = set(layout.addresses(ctx.site)) - near
        if used := sorted({at for at in _clients(server) if at in nodes}):
            raise Problem(
                f"Valkey of Debian ({former.address}) is used by other nodes: {', '.join(used)}",
                hint="stop the services there (systemctl stop backendai.target) until they have this "
                f"release, then run here: {_AGAIN}",
            )


def ready(ctx: Context, former: Former) -> None:
    """Run the site's own server, which has its file where the old one had its own."""
    _set_aside(ctx)
    serving.run(ctx, former.name)


def copy(ctx: Context, former: Former) -> str:
    """Take over all content and compare it; what was copied, for people."""
    ctx.say(f"  copy what is in Valkey at {former.address}")
    with _new(ctx) as new:
        try:
            new.call("CONFIG", "SET", "masterauth", _password(ctx))
            new.call("REPLICAOF", former.host, str(former.port))
            _wait(new, "replication", _arrived, "its content does not arrive")
        finally:
            new.call("REPLICAOF", "NO", "ONE")
            new.call("CONFIG", "SET", "masterauth", "")
        _wait(new, "persistence", _kept, "its append-only file is not written")
        with _old(ctx, former) as old:
            return _compare(old, new)


def others(ctx: Context, former: Former) -> str:
    """What else is in the old server, or uses it; empty if nothing."""
    with _old(ctx, former) as server:
        if more := [n for n in _numbers(server) if n not in _OURS]:
            return f"its database {more[0]} has keys"
        if clients := len(_clients(server)):
            return f"{clients} other clients are connected"
    return ""


def retire(ctx: Context, _former: Former, _alive: bool) -> str:
    """Stop the old server, now and at every boot, after it saved its content; see etcd.retire."""
    debian.rest(UNIT)
    undo(ctx)
    return ""


def undo(ctx: Context) -> None:
    """Take back what the earlier release wrote for it."""
    found = drop_in(UNIT)
    if ours(found.path):
        units.remove([found, units.File(kept_config(ctx), "")])


def _set_aside(ctx: Context) -> None:
    """Give the old server's file another name, and tell its unit."""
    found, before, after = drop_in(UNIT), ctx.paths.config / "valkey.conf", kept_config(ctx)
    text = files.read(found.path) or ""
    if not ours(found.path) or f":{before}" not in text:
        return
    files.write(after, files.read(before) or "", mode=0o600)
    named = re.sub(rf"{re.escape(str(before))}(?=\s|$)", str(after), text)
    units.write([units.File(found.path, named)])


def _password(ctx: Context) -> str:
    """The old server's: what its file says."""
    for path in (kept_config(ctx), ctx.paths.config / "valkey.conf"):
        if found := re.search(r'^requirepass "(.*)"$', files.read(path) or "", re.MULTILINE):
            return re.sub(r"\\(.)", r"\1", found[1])
    return credentials.cache_password(ctx)


def _old(ctx: Context, former: Former) -> resp.Connection:
    return _log_in(former.host, former.port, [_password(ctx)], "of Debian")


def _new(ctx: Context) -> resp.Connection:
    cache, login = ctx.site.cache, credentials.cache_root(ctx)
    return _log_in(cache.host, cache.port, [login.user, login.password], "of the site")


def _log_in(host: str, port: int, login: list[str], whose: str) -> resp.Connection:
    server = resp.Connection(host, port, timeout=60)
    try:
        server.call("AUTH", *login)
    except resp.Refused as refused:
        server.__exit__()
        raise Problem(
            f"Valkey {whose} ({host}:{port}) does not take its password: {refused}",
            hint="name a file that holds it: [cache] password_file in the site file",
        ) from refused
    return server


def _clients(server: resp.Connection) -> list[str]:
    """Addresses of all other clients, replicas aside."""
    own = f"id={server.call('CLIENT', 'ID')} "
    lines = str(server.call("CLIENT", "LIST")).splitlines()
    others = [line for line in lines if not line.startswith(own) and " flags=S" not in line]
    found = (re.search(r" addr=\[?([^ ]*?)\]?:\d+ ", line) for line in others)
    return [match[1] for match in found if match]


def _wait(
    server: resp.Connection, section: str, done: Callable[[dict[str, str]], bool], what: str
) -> None:
    began = moved = time.monotonic()
    seen: dict[str, str] = {}
    while True:
        said = _info(server, section)
        if done(said):
            return
        watched = {k: v for k, v in said.items() if "sync" in k or "aof" in k}
        now = time.monotonic()
        moved = now if watched != seen and "master_sync_read_bytes" in watched else moved
        seen = watched
        if now - moved > IDLE or now - began > TIMEOUT:
            raise Problem(
                f"the site's Valkey: {what}",
                hint=f"see: backendai-ctl logs valkey; free some disk space; then run: {_AGAIN}",
            )
        time.sleep(_POLL)


def _arrived(said: dict[str, str]) -> bool:
    return said.get("master_link_status") == "up" and said.get("master_sync_in_progress") == "0"


def _kept(said: dict[str, str]) -> bool:
    busy = any(said.get(f"aof_rewrite_{word}") != "0" for word in ("in_progress", "scheduled"))
    well = said.get("aof_enabled") == "1" and said.get("aof_last_bgrewrite_status") == "ok"
    return well and not busy


def _info(server: resp.Connection, section: str) -> dict[str, str]:
    lines = str(server.call("INFO", section)).splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def _numbers(server: resp.Connection) -> list[int]:
    """Numbers of the databases that have keys."""
    return [int(name[2:]) for name in _info(server, "keyspace") if re.fullmatch(r"db\d+", name)]


def _compare(old: resp.Connection, new: resp.Connection) -> str:
    """Problem unless every key of ours is there with its value and time; databases of others go."""
    count = 0
    for number in sorted({*_numbers(old), *_numbers(new)}):
        if number not in _OURS:
            new.call("SELECT", str(number))
            new.call("FLUSHDB")
            continue
        before, after = contents(old, number), contents(new, number)
        late = int(time.time() * 1000) + 1000
        differ = [line for line in before ^ after if not 0 < int(line.split()[1]) < late]
        if differ:
            raise Problem(
                f"the site's Valkey: {len(differ)} keys of database {number} differ from what was copied",
                hint=f"nothing was changed in the old one; stop what writes to it, then run: {_AGAIN}",
            )
        count += len(before)
    return f"Valkey ({count} keys)"


def contents(server: resp.Connection, number: int) -> set[str]:
    """`NAME EXPIRY KIND VALUE` of every key of a database: hashes, and Unix time in ms or -1."""
    server.call("SELECT", str(number))
    found: set[str] = set()
    cursor = "0"
    while True:
        answer = server.call("EVAL", _LOOK, "0", cursor)
        assert isinstance(answer, list)
        cursor, *lines = map(str, answer)
        found.update(lines)
        if cursor == "0":
            return found
