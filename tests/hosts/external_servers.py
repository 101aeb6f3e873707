"""PostgreSQL, Valkey and etcd as a site's own administrators would run them: TLS, passwords, members.

They are Debian's, on a host of their own without any package of ours: one booted on ROOT. The site
reaches them by a cable and by the names of NAMES. Valkey and etcd ask their clients for certificates.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from host import Host

from backendai_ctl.pki import tls

ROOT = "trixie-servers"  # see roots.RECIPES
ADDRESS = "10.98.0.2"  # of the host with the servers; see host.link
NAMES = ("db.test", "cache.test", "etcd1.test", "etcd2.test", "etcd3.test", "sentinel.test")
UNNAMED = "unnamed.test"  # the same host by a name that no certificate is for
FOLDER = "/srv/test"
MEMBERS = {1: 2379, 2: 22379, 3: 32379}  # of etcd: number -> port for clients
PASSWORDS = {"db": "of the database", "cache": "of-the-cache", "etcd": "of-etcd"}
SENTINEL_PASSWORD = "of-the-sentinels"
STANDBY = 5433  # port of the second PostgreSQL
PLAIN, PLAIN_SENTINEL = 6390, 26390  # ports of those without TLS
PREFIXES = ("/sorna/local/", "/backendai-packaged/local/")


def make(servers: Host) -> dict[str, str]:
    """Start all of them. PEM texts by file name: the authority that vouches for them, another one,
    and what clients show.
    """
    key, own, client = tls.new_key(), tls.new_key(), tls.new_key()
    found = {
        "ours.crt": tls.authority(key, "ours").decode(),
        "theirs.crt": tls.authority(tls.new_key(), "theirs").decode(),
        "client.key": client.decode(),
    }
    issuer = found["ours.crt"].encode()
    found["client.crt"] = _client_certificate(issuer, key, client)
    issued = tls.issue(issuer, key, own, [*NAMES, ADDRESS, "localhost"])
    servers.write(f"{FOLDER}/server.crt", issued.decode())
    servers.write(f"{FOLDER}/server.key", own.decode())
    servers.write(f"{FOLDER}/ca.crt", found["ours.crt"])
    for name in ("client.crt", "client.key"):
        servers.write(f"{FOLDER}/{name}", found[name])
    servers.sh(f"chmod 755 /srv {FOLDER}; chmod 644 {FOLDER}/*; systemctl stop etcd valkey-server")
    _postgresql(servers)
    valkey(servers, "one", 6379)
    _etcd(servers)
    return found


def _client_certificate(issuer_pem: bytes, issuer_key: bytes, key: bytes) -> str:
    """As an authority of the operator issues it: for clients alone, and with no common name."""
    issuer = x509.load_pem_x509_certificate(issuer_pem)
    signing: Any = tls.load_key(issuer_key)
    public: Any = tls.load_key(key).public_key()
    now, usage = datetime.now(UTC), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    made = x509.CertificateBuilder(
        issuer_name=issuer.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "site")]),
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=2),
    ).add_extension(usage, critical=False)
    return made.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _postgresql(servers: Host) -> None:
    servers.sh(
        f"cd /etc/postgresql/17/main; install -o postgres -m 600 {FOLDER}/server.key own.key\n"
        f"printf \"listen_addresses = '{ADDRESS}'\\nssl = on\\nssl_cert_file = '{FOLDER}/server.crt'\\n"
        "ssl_key_file = '/etc/postgresql/17/main/own.key'\\n\" >conf.d/test.conf\n"
        "echo 'hostssl all all 10.98.0.0/24 scram-sha-256' >>pg_hba.conf\n"
        "systemctl restart postgresql@17-main"
    )
    sql = "\n".join(
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORDS['db']}';\nCREATE DATABASE {role} OWNER {role};"
        for role in ("backendai", "backendai_appproxy")
    )
    call = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]
    servers.check(call, user="postgres", stdin=sql, cwd="/")


def standby(servers: Host) -> None:
    """Another PostgreSQL on port STANDBY, which follows the first one."""
    two = "/etc/postgresql/17/two"
    servers.sh(
        f"pg_createcluster 17 two --port {STANDBY} >/dev/null\n"
        "cd /etc/postgresql/17; cp -p main/conf.d/test.conf two/conf.d/; cp -p main/pg_hba.conf two/\n"
        "install -o postgres -m 600 main/own.key two/own.key\n"
        f"sed -i s,/main/,/two/, {two}/conf.d/test.conf\n"
        "rm -r /var/lib/postgresql/17/two\n"
        "setpriv --reuid postgres --regid postgres --init-groups"
        " pg_basebackup --pgdata=/var/lib/postgresql/17/two --write-recovery-conf --checkpoint=fast\n"
        "systemctl start postgresql@17-two"
    )


def promote(servers: Host) -> None:
    """The first PostgreSQL is no more; the other one becomes the primary."""
    servers.sh("systemctl stop postgresql@17-main; pg_ctlcluster 17 two promote")


def valkey(servers: Host, name: str, port: int, *settings: str, plain: bool = False) -> None:
    """A Valkey with TLS alone, or without; `settings` are further lines of its file."""
    lines = [f"bind {ADDRESS}", "dir /tmp", "save ''", *settings]
    if plain:
        lines.append(f"port {port}")
    else:
        lines += ["port 0", f"tls-port {port}", "tls-auth-clients yes", "tls-replication yes"]
        lines += [f"tls-{kind}-file {FOLDER}/server.{suffix}" for kind, suffix in _PAIR]
        # What it shows where it is a client itself, of its master or of what it watches.
        lines += [f"tls-client-{kind}-file {FOLDER}/client.{suffix}" for kind, suffix in _PAIR]
        lines.append(f"tls-ca-cert-file {FOLDER}/ca.crt")
    if "sentinel" not in name:
        password = PASSWORDS["cache"]
        lines += [f"requirepass {password}", f"masterauth {password}"]
    servers.write(f"{FOLDER}/{name}.conf", "\n".join(lines) + "\n")
    words = ["/usr/bin/valkey-server", f"{FOLDER}/{name}.conf"]
    _start(servers, f"valkey-{name}", [*words, *(["--sentinel"] if "sentinel" in name else [])])


_PAIR = (("cert", "crt"), ("key", "key"))
_SHOWN = f"--cacert {FOLDER}/ca.crt --cert {FOLDER}/client.crt --key {FOLDER}/client.key"


def sentinels(servers: Host) -> None:
    """A replica of the cache, and a sentinel that watches both."""
    valkey(servers, "two", 6380, f"replicaof {ADDRESS} 6379")
    valkey(
        servers,
        "sentinel",
        26379,
        f"sentinel monitor mine {ADDRESS} 6379 1",
        "sentinel down-after-milliseconds mine 1000",
        f"sentinel auth-pass mine {PASSWORDS['cache']}",
        f"requirepass {SENTINEL_PASSWORD}",
    )
    told = "sentinel replicas mine"
    servers.sh(
        f"for i in $(seq 100); do {cli(26379)} {told} | grep -q 6380 && exit; sleep 0.1; done; exit 1"
    )


def plain_sentinel(servers: Host) -> None:
    """Another cache and another sentinel, without TLS; the sentinel wants no password either."""
    valkey(servers, "plain", PLAIN, plain=True)
    valkey(
        servers,
        "plain-sentinel",
        PLAIN_SENTINEL,
        f"sentinel monitor plain {ADDRESS} {PLAIN} 1",
        f"sentinel auth-pass plain {PASSWORDS['cache']}",
        "protected-mode no",
        plain=True,
    )


def cli(port: int) -> str:
    """The start of a call of valkey-cli on the host with the servers."""
    password = SENTINEL_PASSWORD if port == 26379 else PASSWORDS["cache"]
    return f"REDISCLI_AUTH={password} valkey-cli --tls {_SHOWN} -h {ADDRESS} -p {port}"


def _etcd(servers: Host) -> None:
    """Three members, reached with TLS alone; logins that last."""
    servers.sh(f"head -c 32 /dev/urandom >{FOLDER}/token.key")
    peers = {number: f"http://127.0.0.1:{port + 1}" for number, port in MEMBERS.items()}
    cluster = ",".join(f"m{number}={url}" for number, url in peers.items())
    token = f"jwt,sign-method=HS256,priv-key={FOLDER}/token.key,ttl=8760h"
    for number, port in MEMBERS.items():
        words = {
            "name": f"m{number}",
            "data-dir": f"/tmp/etcd{number}",
            "listen-client-urls": f"https://{ADDRESS}:{port}",
            "advertise-client-urls": f"https://{ADDRESS}:{port}",
            "listen-peer-urls": peers[number],
            "initial-advertise-peer-urls": peers[number],
            "initial-cluster": cluster,
            "cert-file": f"{FOLDER}/server.crt",
            "key-file": f"{FOLDER}/server.key",
            "trusted-ca-file": f"{FOLDER}/ca.crt",
            "client-cert-auth": "true",
            # Its gateway for JSON is a client of its own.
            "client-cert-file": f"{FOLDER}/client.crt",
            "client-key-file": f"{FOLDER}/client.key",
            "auth-token": token,
        }
        options = [f"--{key}={value}" for key, value in words.items()]
        _start(servers, f"etcd{number}", ["/usr/bin/etcd", *options])
    commands = ["user add root:root", f"user add backendai:{PASSWORDS['etcd']}"]
    commands += ["user grant-role root root", "role add backendai"]
    commands += [f"role grant-permission backendai readwrite --prefix=true {p}" for p in PREFIXES]
    commands += ["user grant-role backendai backendai", "auth enable"]
    script = "\n".join(f"etcdctl {_etcdctl()} {words}" for words in ["role add root", *commands])
    wait = f"for i in $(seq 100); do etcdctl {_etcdctl()} endpoint health && break; sleep 0.2; done"
    servers.sh(f"{wait}\n{script}")


def _etcdctl() -> str:
    return f"{_SHOWN} --endpoints=https://{ADDRESS}:{MEMBERS[1]}"


def _start(servers: Host, name: str, words: list[str]) -> None:
    servers.check(["systemd-run", f"--unit=test-{name}", "--", *words])


def stop(servers: Host, name: str) -> None:
    servers.check(["systemctl", "stop", f"test-{name}"])
