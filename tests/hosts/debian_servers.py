"""A host as release 26.9.6-1 left it: a site's data in Debian's PostgreSQL, Valkey and etcd.

It does what that release did: roles and databases, drop-ins, users of etcd, what services were given. The
manager's database is one of release 26.8.3. With backendai_ctl.moving all of this goes.
"""

from __future__ import annotations

import json
import lzma
import shlex
from typing import Any

from host import Host
from old_database import DUMP

ETC, CTL = "/etc/backendai", "/var/lib/backendai/ctl"
PACKAGES = ("postgresql", "valkey-server", "etcd-server", "etcd-client")
UNITS = ("postgresql@17-main.service", "valkey-server.service", "etcd.service")
SECRETS = {
    name: f"of-{name}"
    for name in (
        *("admin-password", "admin-secret-key", "appproxy-api", "appproxy-jwt", "appproxy-permit"),
        *("cache-password", "database-coordinator", "database-manager", "etcd-password"),
        *("etcd-root-password", "etcd-token", "storage-manager", "storage-token"),
    )
}
ROLES = {"backendai": "database-manager", "backendai_appproxy": "database-coordinator"}
KEYS = {f"/sorna/local/nodes/{number:03}": f"värde {number}" for number in range(150)}
SEEDED = {
    "config/redis/addr": "127.0.0.1:6379",
    "config/redis/password": SECRETS["cache-password"],
    "volumes/_types/user": "",
}
KEYS |= {f"/sorna/local/{key}": value for key, value in SEEDED.items()}
BASE = "/backendai-packaged/local/"  # where backendai-ctl keeps what it seeded
STEPS = ("create-secrets", "create-databases", "prepare-cache", "prepare-etcd", "render-configs")
_VALKEY = """\
# Written by backendai-ctl; settings of yours belong into the file that is included.
include /etc/valkey/valkey.conf
requirepass "{password}"
appendonly yes
"""
_VALKEY_UNIT = """\
# Written by backendai-ctl: see /etc/backendai/valkey.conf.
[Service]
LoadCredential=valkey.conf:/etc/backendai/valkey.conf
ExecStart=
ExecStart=/usr/bin/valkey-server /run/credentials/valkey-server.service/valkey.conf \\
 --supervised systemd --daemonize no
"""
_ETCD_UNIT = """\
# Written by backendai-ctl; /etc/default/etcd overrides it.
[Service]
LoadCredential=etcd-token:/etc/backendai/secrets/etcd-token
Environment="ETCD_AUTH_TOKEN=jwt,sign-method=HS256,priv-key=/run/credentials/etcd.service/etcd-token,ttl=87600h"
Environment=ETCD_AUTO_COMPACTION_RETENTION=1
"""
_GIVEN = {
    "manager.toml": '[etcd]\naddr = { host = "127.0.0.1", port = 2379 }\n'
    '[db]\naddrs = [{ host = "127.0.0.1", port = 5432 }]\n',
    "webserver.conf": '[session.redis]\naddr = "127.0.0.1:6379"\n',
}
# Of every kind, one that ends and one that is over in a second.
_CONTENT = """
SET text värde
SET ends x EX 100000
SET soon x PX 1000
RPUSH list a b c
SADD set 1 2 3 four
ZADD zset 1.5 a 2 b
HSET hash a 1 b 2
SELECT 4
XADD stream 1-1 a b
XADD stream 2-1 c d
XGROUP CREATE stream group 0
XREADGROUP GROUP group one COUNT 1 STREAMS stream >
"""
CLI = f"REDISCLI_AUTH={SECRETS['cache-password']} valkey-cli"
ETCDCTL = f"ETCDCTL_USER=root ETCDCTL_PASSWORD={SECRETS['etcd-root-password']} etcdctl"


def make(host: Host) -> None:
    """Set everything up; the servers run afterwards."""
    host.sh(f"mkdir -p {ETC}/secrets {CTL}/shipped; chmod 700 {ETC}/secrets")
    for name, secret in SECRETS.items():
        host.write(f"{ETC}/secrets/{name}", f"{secret}\n")
    for name, text in _GIVEN.items():
        host.write(f"{CTL}/shipped/{name}", text)
        host.write(f"{ETC}/{name}", text)
    steps = {name: {"state": "done", "what": "", "hint": ""} for name in STEPS}
    host.write(f"{CTL}/result.json", json.dumps({"finished": "2026-11-24", "steps": steps}))
    host.write(f"{ETC}/valkey.conf", _VALKEY.format(password=SECRETS["cache-password"]))
    host.write("/etc/systemd/system/valkey-server.service.d/backendai.conf", _VALKEY_UNIT)
    host.write("/etc/systemd/system/etcd.service.d/backendai.conf", _ETCD_UNIT)
    host.sh(f"chmod 600 {ETC}/secrets/* {ETC}/valkey.conf; systemctl daemon-reload")
    host.sh("systemctl restart postgresql valkey-server etcd")
    _postgresql(host)
    host.check(["/bin/sh", "-c", f"{CLI} --no-auth-warning"], stdin=_CONTENT)
    _etcd(host)


def _postgresql(host: Host) -> None:
    for role, secret in ROLES.items():
        sql(host, f"CREATE ROLE {role} LOGIN PASSWORD '{SECRETS[secret]}'")
        sql(host, f"CREATE DATABASE {role} OWNER {role} TEMPLATE template0 ENCODING 'UTF8'")
        sql(host, f"REVOKE ALL ON DATABASE {role} FROM PUBLIC")
    text = lzma.decompress(DUMP.read_bytes()).decode()
    sql(host, f"SET ROLE backendai;\n{text}", "backendai")


def _etcd(host: Host) -> None:
    every = {**KEYS, f"{BASE}base": json.dumps(SEEDED)}
    host.sh("\n".join(shlex.join(["etcdctl", "put", *row]) for row in every.items()))
    host.sh(
        f"""
        etcdctl user add root:{SECRETS["etcd-root-password"]}
        etcdctl user grant-role root root
        etcdctl user add backendai:{SECRETS["etcd-password"]}
        etcdctl role add backendai
        etcdctl role grant-permission backendai --prefix=true readwrite /sorna/local/
        etcdctl role grant-permission backendai --prefix=true readwrite {BASE}
        etcdctl user grant-role backendai backendai
        etcdctl auth enable
        """
    )


def sql(host: Host, text: str, database: str = "postgres") -> str:
    """Run SQL in Debian's PostgreSQL as its administrator; its output, unaligned."""
    call = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
    return host.check(call, user="postgres", stdin=text, cwd="/").stdout.strip()


def states(host: Host) -> list[str]:
    """Of the three units: active or not."""
    return host.run(["systemctl", "is-active", *UNITS]).stdout.split()


def etcd_keys(text: str) -> dict[str, str]:
    """What `etcdctl get -w json` said."""
    import base64

    rows: list[dict[str, Any]] = json.loads(text).get("kvs", [])
    decoded = ((base64.b64decode(r["key"]), base64.b64decode(r.get("value", ""))) for r in rows)
    return {key.decode(): value.decode() for key, value in decoded}
