"""The schema of /etc/backendai/site.toml. Every default suits a single host.

Descriptions are the reference: `docs/SITE.md` and the JSON schema are made from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from backendai_ctl.site import values
from backendai_ctl.site.apps import Apps
from backendai_ctl.site.metrics import Metrics
from backendai_ctl.site.registries import Registry
from backendai_ctl.site.sessions import Sessions
from backendai_ctl.site.table import AbsolutePath, HostPort, Size, Table

Port = Annotated[int, Field(ge=1, le=65535)]
OwnPort = Annotated[int, Field(ge=1024, le=65535)]  # the services may not bind lower ones
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{1,62}$")]
AccountName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")]
AccountNumber = Annotated[int, Field(ge=1, le=2**32 - 3), AfterValidator(values.number_of_user)]
Text = Annotated[str, Field(pattern=values.NO_CONTROL)]
SettingName = Annotated[str, Field(pattern=values.SETTING)]
Setting = Annotated[str | int | float | bool, BeforeValidator(values.setting)]
Host = Annotated[str, AfterValidator(values.host)]
Address = Annotated[str, AfterValidator(values.address)]
Network_ = Annotated[str, AfterValidator(values.network)]
PortRange = Annotated[
    tuple[OwnPort, OwnPort], Field(strict=False), AfterValidator(values.ascending)
]  # TOML has no tuples: a list of two


class SiteTable(Table):
    name: Text = Field("Backend.AI", description="Name of the site, shown to users in the web UI.")
    address: Host = Field(
        "localhost",
        description="Name or address at which browsers and clients reach this site.",
    )


class User(Table):
    """The account that the services run as; backendai-ctl makes it."""

    name: AccountName | None = Field(
        None, description="Name of the account and of its group. Default: `bai`."
    )
    uid: AccountNumber | None = Field(
        None,
        description="Its user ID. Default: 1100. Files on shared storage belong to numeric IDs: use the "
        "same on every node.",
    )
    gid: AccountNumber | None = Field(None, description="Its group ID. Default: the same as `uid`.")


class Network(Table):
    listen: Address = Field(
        "127.0.0.1",
        description="Address on which the services for users listen: the web server, the storage proxy's "
        "client API, the app proxy. All other services listen on loopback.",
    )
    allow: list[Network_] = Field(
        [],
        description="Networks (CIDR) that may reach the services besides this host. Needed when "
        "`listen` is not a loopback address.",
    )
    ports: dict[str, dict[str, OwnPort]] = Field(
        {},
        description="Ports that differ from the defaults: [network.ports.COMPONENT] WHAT = PORT.",
    )


class Tls(Table):
    mode: Literal["site-ca", "own", "off"] = Field(
        "site-ca",
        description="`site-ca`: a certificate of an authority created on this host; import its "
        "/etc/backendai/tls/ca.crt into browsers and clients. `own`: your certificate, in "
        "`certificate` and `key`. `off`: plain HTTP.",
    )
    certificate: AbsolutePath | None = Field(
        None, description="With `own`: PEM file, the server's certificate first, then its issuers."
    )
    key: AbsolutePath | None = Field(None, description="With `own`: PEM file, without passphrase.")


class Server(Table):
    """A server that the site brings along (local) or that is run by others (external)."""

    mode: Literal["local", "external"] = Field(
        "local",
        description="`local`: the site's own, which its packages bring along; `external`: yours.",
    )
    settings: dict[SettingName, Setting] = Field(
        {},
        description="Of the site's own server: settings of its configuration file that differ from "
        "what backendai-ctl writes there.",
    )
    tls: Literal["off", "on", "verify"] = Field(
        "off", description="`on`: use TLS; `verify`: use TLS and check the server's certificate."
    )
    ca: AbsolutePath | None = Field(
        None,
        description="PEM file of the certificate authority to verify against. Default: those of the host.",
    )

    # What is left out for an external server: the field, and what others have there by default.
    elsewhere: ClassVar[tuple[str, object] | None] = None

    @model_validator(mode="after")
    def _default_of_others(self) -> Self:
        """A server of others has its usual port, and not that of the site's own."""
        if self.elsewhere and self.mode == "external":
            name, value = self.elsewhere
            if name not in self.model_fields_set:
                self.__dict__[name] = value  # left out, as before: nobody set it
        return self


class DatabaseOf(Table):
    """The database of a component: manager, coordinator, or what packages of the site bring besides."""

    name: Identifier | None = Field(
        None, description="Name of the database. Default: the component's own, such as `backendai`."
    )
    user: Identifier | None = Field(
        None, description="Role that owns it. Default: the component's own."
    )
    password_file: AbsolutePath | None = Field(
        None, description="File that holds the password. Default: generated (local servers only)."
    )


class Database(Server):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, DatabaseOf] = Field(init=False)
    elsewhere = ("port", 5432)
    host: Host = Field("127.0.0.1", description="PostgreSQL server.")
    port: Port = Field(8100, description="Port of the server. Default for an external one: 5432.")
    endpoints: list[HostPort] = Field(
        [],
        description="Instead of `host` and `port`: HOST:PORT of each member of a cluster. Whichever "
        "is the primary is used, the others are its standbys.",
    )
    keep_dumps: Annotated[int, Field(ge=1)] = Field(
        5, description="Number of dumps kept per database; one is made before each migration."
    )

    @property
    def members(self) -> list[tuple[str, int]]:
        """Host and port of every server that may be the primary."""
        return [values.split_host_port(one) for one in self.endpoints] or [(self.host, self.port)]

    def of(self, name: str) -> DatabaseOf:
        """What is said of one database, [database.NAME]."""
        return (self.__pydantic_extra__ or {}).get(name, DatabaseOf())


class Sentinel(Table):
    service: Text = Field(description="Name of the master that the sentinels watch.")
    nodes: Annotated[list[HostPort], Field(min_length=1)] = Field(
        description="HOST:PORT of each sentinel."
    )
    password_file: AbsolutePath | None = Field(
        None, description="File that holds the password of the sentinels. Default: none."
    )


class Proxied(Server):
    """A server whose TLS is the work of the TLS proxy on this host: Backend.AI's client speaks none."""

    certificate: AbsolutePath | None = Field(
        None, description="PEM file of the client certificate, if the server asks for one."
    )
    key: AbsolutePath | None = Field(
        None, description="PEM file of the client certificate's key, without passphrase."
    )


class Cache(Proxied):
    elsewhere = ("port", 6379)
    host: Host = Field("127.0.0.1", description="Valkey or Redis server.")
    port: Port = Field(8110, description="Port of the server. Default for an external one: 6379.")
    password_file: AbsolutePath | None = Field(
        None, description="File that holds the password. Default: generated (local servers only)."
    )
    sentinel: Sentinel | None = Field(
        None,
        description="Ask sentinels which server is the master. With TLS, the sentinels must use TLS "
        "too.",
    )


class Etcd(Proxied):
    elsewhere = ("endpoints", ["127.0.0.1:2379"])
    endpoints: Annotated[list[HostPort], Field(min_length=1)] = Field(
        ["127.0.0.1:8120"],
        description="HOST:PORT of each member. Default for an external one: 127.0.0.1:2379.",
    )
    namespace: Name = Field("local", description="Prefix of all keys is /sorna/NAMESPACE/.")
    user: Annotated[Identifier | None, BeforeValidator(values.none_if_empty)] = Field(
        "backendai",
        description='User of the services; `""`: no login. In the etcd of the site each service of each '
        "node has one of its own, whose name begins so, with rights to what it needs.",
    )
    password_file: AbsolutePath | None = Field(
        None,
        description="File that holds the password, of one for all. Default: generated (local servers only).",
    )

    @property
    def logins(self) -> bool:
        """Whether each service has a login of its own."""
        return self.user is not None and self.password_file is None

    def user_of(self, component: str, node: str) -> str:
        """The user that a service of a node logs in as; an empty node: the only host."""
        if not self.logins:
            return self.user or ""
        return f"{self.user}-{component}" + (f"@{node}" if node else "")


class Volume(Table):
    kind: Literal["local", "nfs"] = Field("local", description="A folder of this host, or NFS.")
    path: AbsolutePath | None = Field(
        None, description="Path, the same on every node. Default: /vfroot/NAME."
    )
    server: Host | None = Field(
        None,
        description="With `nfs`: name or address of the server, or the NAME of a node with the role "
        "`storage`, which then keeps the folder on its own disk and serves it to the others.",
    )
    export: AbsolutePath | None = Field(
        None,
        description="With `nfs`: the path that the server exports. Not set if the server is a node.",
    )
    options: Annotated[str, Field(pattern=r"^[A-Za-z0-9_=.,:/-]+$")] = Field(
        "vers=4.2,hard,timeo=100,retrans=3,retry=0,nodev,nosuid",
        description="With `nfs`: mount options; what they mean: STORAGE.md.",
    )
    backend: Literal[
        "vfs",
        "cephfs",
        "dellemc-onefs",
        "gpfs",
        "netapp",
        "purestorage",
        "vast",
        "weka",
    ] = Field(
        "vfs",
        description="How storage proxies use it. `vfs`: as any folder, without quotas; the others by "
        "the file system's own means, with quotas (but `purestorage`); see STORAGE.md.",
    )
    backend_options: AbsolutePath | None = Field(
        None,
        description="TOML file (mode 0600) with what the backend needs: endpoint, user, password.",
    )
    proxies: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None,
        description="Nodes whose storage proxies offer it. Default: all of them. Agents always have "
        "it.",
    )
    permit: bool = Field(
        True,
        description="Permit the volume to all domains, projects and keypair policies that exist when it "
        "is added. `false`: to none of them, until you permit it in the web UI.",
    )


class Storage(Table):
    proxy: Name = Field("local", description="Name of the storage proxy in volume names.")
    volumes: Annotated[dict[Name, Volume], Field(min_length=1)] = Field(
        {"volume1": Volume()}, description="[storage.volumes.NAME]: where folders of users live."
    )
    default: Name | None = Field(
        None, description="Volume for new folders. Default: the first one."
    )


class Admin(Table):
    email: Annotated[str, Field(pattern=values.EMAIL)] = Field(
        "admin@localhost.localdomain",
        description="E-mail address with which the first administrator signs in.",
    )
    username: Name = Field("admin", description="The first administrator's user name.")


class Agent(Table):
    group: Name = Field("default", description="Resource group (scaling group) of this node.")
    address: Address = Field(
        "127.0.0.1",
        description="Address at which the manager reaches the agent: a loopback address. With nodes "
        "it is the address of the agent's node.",
    )
    bridge: Address | None = Field(
        None,
        description="Address of this host on the containers' bridge, where containers ask the agent for "
        "their metadata. Default: that of Docker's bridge, as set by `bip` in daemon.json or chosen by "
        "Docker. With backendai-docker, the bridge gets this address.",
    )
    docker: dict[SettingName, Setting | list[Setting]] = Field(
        {},
        description="Of the container engine that backendai-docker brings: settings of its daemon.json that "
        "differ from what backendai-ctl writes there. A Docker of the host is never changed.",
    )
    container_ports: PortRange = Field(
        (30000, 31000), description="First and last port for services of containers."
    )
    sftp: bool = Field(
        False,
        description="Have the web UI open folders by SSH and SFTP: each node gets a second agent for it.",
    )
    cluster_port: OwnPort = Field(6005, description="UDP port for sessions that span nodes: VXLAN.")
    cluster_network: Annotated[str, AfterValidator(values.network4)] = Field(
        "198.18.0.0/16",
        description="Network (IPv4) that the containers of each such session have among themselves.",
    )
    open_to_sessions: list[HostPort] = Field(
        [],
        description="HOST:PORT of nodes and servers of the site that sessions may reach besides what "
        "serves users: a mirror of packages on a node, say.",
    )
    closed_to_sessions: list[Network_] = Field(
        [],
        description="Networks and addresses that sessions may not reach besides nodes, the servers "
        "that this file names, and NFS: servers of a cluster file system that trust nodes, further "
        "addresses of nodes.",
    )
    reserved_cpu: Annotated[int, Field(ge=0)] = Field(
        1, description="CPU cores reserved for the host."
    )
    reserved_memory: Size = Field("1G", description="Memory reserved for the host.")
    reserved_disk: Size = Field("8G", description="Disk space reserved for the host.")


class Node(Table):
    address: Host = Field(
        description="Name or address by which the other nodes reach this one.",
    )
    interface: Annotated[str | None, AfterValidator(values.interface)] = Field(
        None,
        description="Network interface, or network (CIDR), whose address of this node its services "
        "listen on. Default: `address`.",
    )
    public: Host | None = Field(
        None,
        description="Name or address at which browsers and clients reach this node. Default: "
        "`address`.",
    )
    roles: Annotated[list[Name], Field(min_length=1)] = Field(
        description="What this node is for: `management`, `edge`, `storage`, `compute`, or "
        "`all-in-one`; several are possible.",
    )
    resource_group: Name | None = Field(
        None,
        description="Resource group of its agent. Default: `agent.group`. One that does not exist is "
        "created with the settings of `agent.group`.",
    )
    labels: list[Text] = Field([], description="Labels of your own, shown by `node list`.")


class Site(Table):
    """The whole file."""

    site: SiteTable = Field(SiteTable(), description="The site as its users see it.")
    user: User = Field(
        User(), description="The account of what works on users' files: agent, storage proxy."
    )
    network: Network = Field(Network(), description="Who can reach what.")
    tls: Tls = Field(Tls(), description="Certificates of what browsers reach.")
    apps: Apps = Field(Apps(), description="Where apps of sessions are for browsers.")
    admin: Admin = Field(Admin(), description="The first administrator.")
    database: Database = Field(Database(), description="PostgreSQL.")
    cache: Cache = Field(Cache(), description="Valkey (or Redis).")
    etcd: Etcd = Field(Etcd(), description="etcd.")
    storage: Storage = Field(Storage(), description="Volumes.")
    agent: Agent = Field(Agent(), description="Compute sessions on this node.")
    sessions: Sessions = Field(Sessions(), description="Limits of users' compute sessions.")
    registries: dict[Name, Registry] = Field(
        {},
        description="[registries.NAME]: registries of images beside the site's own. Several projects of "
        "one: a table for each.",
    )
    metrics: Metrics = Field(Metrics(), description="Metrics of sessions, services and hosts.")
    nodes: dict[Name, Node] = Field(
        {},
        description="[nodes.NAME]: the hosts of this site, NAME is their host name. The same file is "
        "on every node. None: a single host.",
    )

    def volume_path(self, name: str, volumes: Path) -> Path:
        """Where a volume is; `volumes` is the folder for those that do not say."""
        return self.storage.volumes[name].path or volumes / name

    @property
    def default_volume(self) -> str:
        return self.storage.default or next(iter(self.storage.volumes))
