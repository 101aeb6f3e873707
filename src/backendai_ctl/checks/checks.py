"""The table of all checks, and how they are run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from backendai_ctl.checks import (
    accelerators,
    accounts,
    certificates,
    docker,
    elsewhere,
    figures,
    firewall,
    host,
    links,
    moved,
    network,
    nodes,
    services,
    storage,
)
from backendai_ctl.checks.base import Check
from backendai_ctl.checks.report import Finding
from backendai_ctl.context import Context
from backendai_ctl.engine.journal import Journal
from backendai_ctl.errors import Problem
from backendai_ctl.log import trace
from backendai_ctl.moving import record
from backendai_ctl.platform.together import together
from backendai_ctl.result import Result, fail, skip, warn
from backendai_ctl.topology import layout

log = logging.getLogger(__name__)
_CONFINED = "Docker gives what they send on this host's own address"
_JOINED = "containers of one session on several nodes reach each other by VXLAN"
TIMEOUT = 20.0  # seconds for all checks that ask over the network
UNCONFIGURED = "not configured yet: backendai-ctl reconfigure"


_HOST = (
    Check("host", "processors", "the services alone keep two busy at start", host.cpus),
    Check("host", "processor level", "some libraries use newer instructions", host.cpu_level),
    Check("host", "memory", "without it the kernel kills services", host.memory),
    Check("host", "disk space", "a full disk stops databases and upgrades", host.disks),
    Check("host", "disk latency", "etcd and PostgreSQL wait for the disk", host.sync_latency),
    Check("host", "clock", "tokens and signatures are valid for minutes", host.clock),
)
_KERNEL = (
    Check("kernel", "version", "containers and isolation need a recent one", host.kernel),
    Check("kernel", "control groups", "they limit what a session may use", host.cgroups),
    Check("kernel", "overlayfs", "Docker keeps images on it", host.overlay),
    Check("kernel", "user namespaces", "services are isolated with them", host.user_namespaces),
    Check("kernel", "settings", "many connections and watched files", host.sysctls),
)
_NETWORK = (
    Check("network", "localhost", "services of a host call each other by it", network.localhost),
    Check("network", "host name", "services and logs name the host by it", network.own_name),
    Check("network", "site.address", "browsers and clients use it", network.site_address),
    Check("network", "apps.domain", "browsers reach apps of sessions by it", network.apps_domain),
    Check("network", "addresses", "a service cannot listen elsewhere", network.addresses),
    Check("network", "ports", "a service does not start when its port is taken", network.ports),
    Check("network", "servers", "databases and volumes elsewhere are needed", elsewhere.reach),
    Check("network", "exposure", "what is not documented must not be reachable", network.exposure),
)
_ACCOUNTS = (
    Check("accounts", "user", "files on NFS belong to numbers, not names", accounts.user),
    Check("accounts", "group", "its members reach what the services share", accounts.group),
    Check("accounts", "secrets", "who reads them is administrator", accounts.secrets),
)
_CERTIFICATES = (
    Check("certificates", "validity", "browsers refuse one that ended", certificates.validity),
    Check("certificates", "names", "browsers refuse one for another name", certificates.names),
    Check("certificates", "keys", "the web server does not start otherwise", certificates.keys),
)
_DOCKER = (
    Check("docker", "server", "sessions are its containers", docker.server),
    Check("docker", "command", "the agent calls it to load images", docker.command),
    Check("docker", "storage driver", "others copy whole images", docker.storage),
    Check("docker", "control groups", "it shares them with systemd", docker.control_groups),
    Check("docker", "restarts", "an update of Docker restarts it", docker.restarts),
    Check("docker", "sessions", "their apps have no login", docker.sessions),
    Check("docker", "logs", "they fill the disk", docker.logs),
)
_NODES = (
    Check("nodes", "this node", "it runs what others expect of it", nodes.identity),
    Check("nodes", "site file", "nodes must agree on the site", nodes.site_file, served=True),
    Check("nodes", "other nodes", "they need what was changed here", nodes.others, served=True),
    Check("nodes", "reach", "services call those of other nodes", nodes.reach, served=True),
    Check("nodes", "firewall", "not all services ask for a login", firewall.nodes, served=True),
    Check("nodes", "clocks", "nodes refuse each other's tokens", nodes.clock, served=True),
)
_BEFORE = Check(
    "services", "servers of Debian", "the site's data was in them", moved.look, served=True
)
_FIGURES = (
    Check(
        "services", "metrics", "sessions are shown with what they use", figures.targets, served=True
    ),
    Check("services", "alerts", "Prometheus has seen it for minutes", figures.alerts, served=True),
)


def checks(ctx: Context) -> tuple[Check, ...]:
    """All checks, in the order in which they are shown."""
    serve = partial(Check, "services", served=True)
    stored = partial(Check, "storage", served=True)
    return (
        *(*_HOST, *_KERNEL, *_NETWORK, *_ACCOUNTS, *_CERTIFICATES, *_DOCKER),
        *accelerators.checks(ctx),
        *(_NODES if ctx.node else ()),
        Check("sessions", "rules", _CONFINED, firewall.containers, served=True),
        Check("sessions", "over nodes", _JOINED, links.able, served=True),
        stored("mounts", "services do not start without their volumes", storage.mounted),
        stored("numbers", "files belong to numbers, the same on every node", storage.ids),
        stored("use", "services and sessions need to write, rename and lock", storage.use),
        stored("exports", "the other nodes mount what this one keeps", storage.served),
        stored("sharing", "a session sees the files of its node", storage.shared),
        *(
            serve(f"{one.name}'s database", one.holds, services.database(one))
            for one in ctx.facts.databases()
            if ctx.here(one.component)
        ),
        serve("cache", "logins, queues and locks", services.cache),
        serve("etcd", "shared settings, and where nodes find each other", services.etcd),
        serve("name servers", "services that cannot ask them know no name", network.name_servers),
        *((_BEFORE,) if record.path(ctx).exists() else ()),
        serve(
            "tls-proxy", "the services reach servers with TLS or sentinels by it", services.proxied
        ),
        *(
            serve(name, "a part of the site does not work without it", services.component(name))
            for name in ctx.facts.installed()
        ),
        *(
            serve(
                name,
                "the services run without it; metrics or images are missing",
                figures.server(name),
            )
            for name in ctx.facts.optional()
        ),
        *(_FIGURES if layout.METRICS in ctx.facts.optional() else ()),
    )


def run(ctx: Context, *, preflight: bool) -> list[Finding]:
    """Do all checks; with `preflight`, those of the host alone. None changes anything."""
    every = checks(ctx)
    configured = bool(Journal(ctx.paths.ctl).last())
    local = [check for check in every if not check.served]
    served = [check for check in every if check.served and not preflight]
    findings = [_finding(check, _look(check, ctx)) for check in local]
    if not configured:
        return [*findings, *(_finding(check, skip(UNCONFIGURED)) for check in served)]
    jobs = {check.name: partial(_look, check, ctx) for check in served}
    late = fail("no answer in time", "see: backendai-ctl status")
    return [*findings, *_in_order(served, together(jobs, timeout=TIMEOUT, late=late))]


def _in_order(checks: Sequence[Check], results: dict[str, Result]) -> list[Finding]:
    return [_finding(check, results[check.name]) for check in checks]


def _look(check: Check, ctx: Context) -> Result:
    try:
        return check.look(ctx)
    except Problem as problem:
        return fail(problem.message, problem.hint)
    except (OSError, ValueError, LookupError, StopIteration) as failure:
        log.warning("%s: %s", check.name, trace(failure))
        return warn(f"could not be checked: {failure}", "report this")


def _finding(check: Check, result: Result) -> Finding:
    return Finding(check.group, check.name, result.level, result.message, check.why, result.hint)
