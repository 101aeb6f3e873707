"""Every setting that upstream itself calls a risk is known, documented, and safe at a site."""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterator

import pytest
from upstream import ROOT, file, locked

WHEELS = (
    "manager",
    "agent",
    "storage-proxy",
    "webserver",
    "appproxy-coordinator",
    "appproxy-worker",
    "appproxy-common",
    "common",
    "logging",
)
RISKY = re.compile(
    r"warning:|risk|insecure|man-in-the-middle|leak|disclosure|firewall|for security"
    r"|not recommended|expose sensitive|never enable|should (?:\w+ )?be (?:true|disabled)|secret in prod"
    r"|strong random|secure random|internal network interface|only (?:enable )?in development",
    re.IGNORECASE,
)
TEMPLATES = ROOT / "packaging/components"
# Settings whose default is the safe value, and is what sites have.
BY_DEFAULT = {
    "manager APIConfig.allow_graphql_schema_introspection": "False",
    "manager APIConfig.allow_openapi_schema_introspection": "False",
    "manager DebugConfig.enabled": "False",
    "manager DockerRegistryConfig.ssl_verify": "True",
    "agent DebugConfig.enabled": "False",
    "storage-proxy DebugConfig.enabled": "False",
    "webserver DebugConfig.enabled": "False",
    "webserver ServiceConfig.webui_debug": "False",
    "webserver ResourcesConfig.open_port_to_public": "False",
    "appproxy-worker ProxyWorkerConfig.verify_coordinator_ssl_certificate": "True",
}
# Lines of templates: what sites are given.
RENDERED = {
    "manager ManagerConfig.internal_addr": (
        "manager/manager.toml.j2",
        "internal-addr = { host = {{ loopback | toml }}",
    ),
    "storage-proxy ManagerAPIConfig.internal_addr": (
        "storage-proxy/storage-proxy.toml.j2",
        'internal-addr = { host = {{ bind("storage-proxy", "internal") | toml }}',
    ),
    "appproxy-coordinator ProxyCoordinatorConfig.metric_access_allowed_hosts": (
        "appproxy-coordinator/app-proxy-coordinator.toml.j2",
        'metric_access_allowed_hosts = {{ (asked_at ~ "/32") | toml }}',
    ),
    "appproxy-worker ProxyWorkerConfig.metric_access_allowed_hosts": (
        "appproxy-worker/app-proxy-worker.toml.j2",
        'metric_access_allowed_hosts = {{ (asked_at ~ "/32") | toml }}',
    ),
    "webserver APIConfig.ssl_verify": ("webserver/webserver.conf.j2", "ssl_verify = true\n"),
    "webserver SecurityConfig.cookie_secure": (
        "webserver/webserver.conf.j2",
        "cookie_secure = {{ tls | toml }}",
    ),
    "appproxy-coordinator ProxyCoordinatorConfig.allow_unauthorized_configure_request": (
        "appproxy-coordinator/app-proxy-coordinator.toml.j2",
        "allow_unauthorized_configure_request = false",
    ),
}
# Otherwise than by a setting, or left as it is: docs/SECURITY.md says why.
EXPLAINED = {
    "manager APIConfig.allow_origins",
    "manager APIConfig.max_gql_query_depth",
    "manager SubnetNetworkConfig.agent",
    "manager VolumeProxyConfig.ssl_verify",
    "manager WatcherConfig.token",
    "webserver CSPConfig.object_src",
    "webserver ServiceConfig.hide_agents",
    "appproxy-worker ProxyWorkerConfig.api_bind_addr",
    *(f"manager ManagerConfig.aiomonitor_{kind}_port" for kind in ("termui", "webui")),
    *(f"appproxy-worker ProxyWorkerConfig.aiomonitor_{kind}_port" for kind in ("termui", "webui")),
    "appproxy-coordinator ProxyCoordinatorConfig.aiomonitor_webui_port",
    "appproxy-coordinator ProxyCoordinatorConfig.user",
    "appproxy-worker ProxyWorkerConfig.user",
    "manager DatabaseConfig.password",
    "manager ManagerConfig.secret",
    "manager ManagerConfig.ssl_privkey",
    "common EtcdConfig.password",
    "common SingleRedisConfig.password",
}
# What their texts speak of is no access: memory, load, amount of output, work to be done by people;
# or they hold a table of settings that are looked at one by one.
NO_ACCESS = {
    "manager BootstrapConfig.debug",
    "manager DebugConfig.log_events",
    "manager ManagerUnifiedConfig.debug",
    "manager ReservoirConfig.enable_approve_process",
    "agent AgentGlobalConfig.debug",
    "agent DebugConfig.enhanced_aiomonitor_task_info",
    "agent DebugConfig.skip_container_deletion",
    "agent OverridableContainerConfig.port_reuse_cooldown_sec",
    "storage-proxy StorageProxyConfig.scandir_limit",
    "storage-proxy StorageProxyUnifiedConfig.debug",
    "appproxy-worker PortProxyConfig.bind_port_range",
    "appproxy-worker ProxyWorkerConfig.client_pool_cleanup_interval",
}


def settings() -> Iterator[tuple[str, str, str]]:
    """("WHEEL CLASS.FIELD", description, default) of all settings of upstream's configuration models."""
    packages = locked()
    for name in WHEELS:
        with zipfile.ZipFile(file(packages[f"backend-ai-{name}"])) as wheel:
            for path in sorted(wheel.namelist()):
                if path.endswith(".py") and "config" in path and "/models/" not in path:
                    for field, text, default in _described(wheel.read(path)):
                        yield f"{name} {field}", text, default


def _described(source: bytes) -> Iterator[tuple[str, str, str]]:
    for model in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]:
        for line in model.body:
            if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
                continue
            calls = [node for node in ast.walk(line) if isinstance(node, ast.Call)]
            words = [(word.arg, word.value) for call in calls for word in call.keywords]
            texts = [
                str(value.value)
                for name, value in words
                if name == "description" and isinstance(value, ast.Constant)
            ]
            default = next((ast.unparse(value) for name, value in words if name == "default"), "")
            yield f"{model.name}.{line.target.id}", " ".join(texts), default


@pytest.fixture(scope="module")
def risky() -> dict[str, str]:
    """Settings that upstream warns of, with their defaults."""
    found = {name: default for name, text, default in settings() if RISKY.search(text)}
    assert len(found) > 40
    return found


def test_every_setting_that_upstream_warns_of_is_known(risky: dict[str, str]) -> None:
    """A new one stops a release here: look at it, add it to a list above and to docs/SECURITY.md."""
    assert set(risky) == {*BY_DEFAULT, *RENDERED, *EXPLAINED, *NO_ACCESS}


def test_those_left_to_upstream_have_a_safe_default(risky: dict[str, str]) -> None:
    assert {name: risky[name] for name in BY_DEFAULT} == BY_DEFAULT
    templates = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*/*.j2"))
    keys = {name.rpartition(".")[2] for name in BY_DEFAULT} - {"enabled", "ssl_verify"}
    for key in keys:
        assert not re.search(rf"(?m)^{key.replace('_', '[-_]')}\b", templates), key
    assert "[debug]" not in templates


def test_the_others_are_what_sites_are_given() -> None:
    for template, line in RENDERED.values():
        assert f"\n{line}" in (TEMPLATES / template).read_text("utf-8"), line


def test_the_manual_tells_of_all() -> None:
    manual = (ROOT / "docs/SECURITY.md").read_text("utf-8")
    section = manual.partition("## What upstream warns of")[2].partition("\n## ")[0]
    for name in (*BY_DEFAULT, *RENDERED, *EXPLAINED):
        assert f"`{name.rpartition('.')[2]}`" in section or "debug" in name.lower(), name
