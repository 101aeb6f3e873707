"""The servers that a site brings along, on a host of a test: their clients, units and places.

    sql(host, "SELECT 1", "backendai")   as PostgreSQL's superuser; text, unaligned
    as_superuser("pg_dump", "backendai") the same for any program of PostgreSQL: words for host.run
    PSQL                                 its psql for shell scripts: f"{PSQL} -d backendai -c ..."
    etcdctl(host, "get --prefix /")      as etcd's root; `user="manager"` as that does
    ETCDCTL, ETCDCTL_AS                  for shell scripts: without a login, and with (`ETCDCTL_AS["root"]`)
    valkey(host, "get key")              with the password of the cache
    VALKEY, VALKEY_LOGGED_IN             for shell scripts: without a password, and with
    UNITS, PORTS                         "postgresql" | "valkey" | "etcd" -> its unit; its port for clients
    BESIDE                               servers of a whole site that its services do without
    DATA                                 the same -> the folder of its data
    ENGINE, ENGINE_SOCKET                folder and socket of the container engine; overlayfs does not lie on
                                         overlayfs, so a host that runs one has a real disk there
    main_pid(host, "valkey")             the process of the server itself, not of what keeps it
    start(host)                          start them where their steps are done, and wait until they are well

Programs are called by their paths: nothing of ours is on a host's PATH. All of them run as root.
"""

from __future__ import annotations

import shlex

from host import Host

SERVERS = "/opt/backendai/servers"
STATE = "/var/lib/backendai"
SECRETS = "/etc/backendai/secrets"
NAMES = ("postgresql", "valkey", "etcd")
BESIDE = ("prometheus", "node-exporter", "registry")
UNITS = {name: f"backendai-{name}.service" for name in NAMES}
PORTS = {"postgresql": 8100, "valkey": 8110, "etcd": 8120}
ENGINE = f"{STATE}/docker"  # images and containers of backendai-docker
ENGINE_SOCKET = "/run/backendai-docker/docker.sock"
DATA = {
    "postgresql": f"{STATE}/postgresql/17",
    "valkey": f"{STATE}/valkey",
    "etcd": f"{STATE}/etcd",
}

SUPERUSER = "backendai-postgresql"  # account of the host and role of PostgreSQL
NFT = f"{SERVERS}/nftables/sbin/nft"
POSTGRESQL = f"{SERVERS}/postgresql/lib/postgresql/17/bin"
SOCKET = "/run/backendai/postgresql"


def as_superuser(program: str, *words: str) -> list[str]:
    """A call of a client program of PostgreSQL, such as pg_dump, as its superuser."""
    place = ["-h", SOCKET, "-p", str(PORTS["postgresql"])]
    # The superuser may not read the folder in which root was.
    start = ["runuser", "-u", SUPERUSER, "--", "env", "-C", "/"]
    return [*start, f"{POSTGRESQL}/{program}", *place, *words]


PSQL = shlex.join(as_superuser("psql", "-X", "-q"))
ETCDCTL = f"{SERVERS}/etcd/bin/etcdctl --endpoints=127.0.0.1:{PORTS['etcd']}"
ETCDCTL_AS = {
    who: f'ETCDCTL_USER={user} ETCDCTL_PASSWORD="$(cat {SECRETS}/{secret})" {ETCDCTL}'
    for who, user, secret in (
        ("root", "root", "etcd-root-password"),
        *((name, f"backendai-{name}", f"etcd-{name}") for name in ("agent", "manager")),
    )
}
VALKEY = f"{SERVERS}/valkey/bin/valkey-cli -p {PORTS['valkey']}"
VALKEY_LOGGED_IN = (
    f'REDISCLI_AUTH="$(cat {SECRETS}/cache-root-password)" {VALKEY} --user backendai-ctl'
)
# As services log in that have no login of their own.
VALKEY_SHARED = f'REDISCLI_AUTH="$(cat {SECRETS}/cache-password)" {VALKEY}'


def sql(host: Host, text: str, database: str = "postgres") -> str:
    """Run SQL as PostgreSQL's superuser; its output, unaligned. HostError at the first that fails."""
    words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
    return host.check(as_superuser("psql", *words), stdin=text).stdout.strip()


def etcdctl(host: Host, words: str, user: str = "root") -> str:
    """What etcdctl says, called as the operator calls it."""
    return host.sh(f"{ETCDCTL_AS[user]} {words}")


def valkey(host: Host, words: str) -> str:
    """What valkey-cli says, logged in."""
    return host.sh(f"{VALKEY_LOGGED_IN} {words}")


def main_pid(host: Host, name: str) -> int:
    """The server's own process: that of the unit is the one that keeps it. HostError if none runs."""
    return int(host.sh(f"pgrep -P $(systemctl show -P MainPID backendai-{name}.service)"))


def start(host: Host, *names: str) -> None:
    """Start these servers, all of them without names; return once they are well.

    Where the steps of one are not done, nothing happens.
    """
    host.check(["systemctl", "start", *(UNITS[name] for name in names or NAMES)], timeout=180)
