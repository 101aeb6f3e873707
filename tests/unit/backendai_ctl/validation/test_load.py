"""The site file: defaults, values, and every fault at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.errors import EXIT_REQUEST
from backendai_ctl.facts import Facts
from backendai_ctl.pki import tls
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.site.schema import Site
from backendai_ctl.validation.load import load


def read(facts: Facts, text: str) -> Site:
    facts.paths.site_file.write_text(text)
    return load(facts.paths.site_file, facts)


def faults(facts: Facts, text: str) -> dict[str, str]:
    """key -> reason; cure, of a file with faults."""
    with pytest.raises(SiteFaults) as caught:
        read(facts, text)
    assert caught.value.exit_code == EXIT_REQUEST
    return {fault.key: f"{fault.message}; {fault.hint}" for fault in caught.value.faults}


def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    return path


def test_no_file_is_a_single_host(facts: Facts) -> None:
    assert load(facts.paths.site_file, facts) == Site()


def test_defaults_and_an_empty_file_have_no_fault(facts: Facts) -> None:
    assert read(facts, "") == Site()


def test_values_are_taken(facts: Facts, tmp_path: Path) -> None:
    site = read(
        facts,
        f"""
        [site]
        address = "ai.example.org"
        [network]
        listen = "10.0.0.5"
        allow = ["10.0.0.0/24"]
        [network.ports.webserver]
        http = 8443
        [database]
        mode = "external"
        host = "db.example.org"
        tls = "verify"
        [database.manager]
        password_file = "{password(tmp_path)}"
        [database.coordinator]
        password_file = "{password(tmp_path)}"
        [cache]
        mode = "external"
        password_file = "{password(tmp_path)}"
        sentinel = {{ service = "m", nodes = ["s1:26379", "s2:26379"] }}
        [etcd]
        mode = "external"
        endpoints = ["e1:2379", "e2:2379"]
        user = ""
        [storage.volumes.home]
        kind = "nfs"
        server = "nas"
        export = "/export/home"
        [agent]
        container_ports = [41000, 42000]
        """,
    )
    assert site.network.ports == {"webserver": {"http": 8443}}
    assert site.database.of("manager").name is None  # as the release calls it
    assert site.database.of("manager").password_file == tmp_path / "password"
    assert site.etcd.user is None
    assert site.agent.container_ports == (41000, 42000)
    assert site.default_volume == "home"
    assert site.volume_path("home", facts.paths.volumes) == facts.paths.volumes / "home"


def test_all_faults_are_told_at_once_with_their_lines(facts: Facts) -> None:
    with pytest.raises(SiteFaults) as caught:
        read(
            facts,
            '[site]\nnmae = "x"\n[database]\nport = "5432"\nmode = "external"\n'
            '[network]\nlisten = "0.0.0.0"\n[storage.volumes.Home]\n[storage.volumes.a]\n'
            'kind = "nfs"\nexport = "/e"\n',
        )
    told = [(fault.line, fault.key) for fault in caught.value.faults]
    assert told == [
        (1, "site.address"),
        (2, "site.nmae"),
        (3, "database.coordinator.password_file"),
        (3, "database.manager.password_file"),
        (4, "database.port"),
        (6, "network.allow"),
        (8, "storage.volumes.Home"),
        (9, "storage.volumes.a.server"),
    ]
    message = str(caught.value)
    path = facts.paths.site_file
    assert f"{path}:2: site.nmae: unknown key; did you mean 'name'?" in message
    assert f'{path}:4: database.port: cannot be "5432"; give an integer from 1' in message
    assert "nothing was applied" in message
    assert all(fault.message and fault.hint for fault in caught.value.faults)


def test_a_file_in_another_encoding_has_its_line(facts: Facts) -> None:
    facts.paths.site_file.write_bytes('[site]\nname = "Küche"\n'.encode("latin-1"))
    with pytest.raises(SiteFaults) as caught:
        load(facts.paths.site_file, facts)
    (fault,) = caught.value.faults
    assert (fault.line, fault.hint) == (2, "save the file as UTF-8")


def test_a_certificate_that_cannot_serve_the_site_is_a_fault(facts: Facts, tmp_path: Path) -> None:
    key = tls.new_key()
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "key").chmod(0o600)
    issued = tls.issue(tls.authority(key, "ours"), key, key, ["other.example.org"])
    (tmp_path / "crt").write_bytes(issued)
    text = (
        '[site]\naddress = "ai.example.org"\n[tls]\nmode = "own"\n'
        f'certificate = "{tmp_path}/crt"\nkey = "{tmp_path}/key"\n'
    )
    assert (
        "it is for other.example.org, not for ai.example.org"
        in (faults(facts, text)["tls.certificate"])
    )
    text = text.replace("ai.example", "other.example") + '[apps]\ndomain = "apps.example.org"\n'
    assert "not for app.apps.example.org" in faults(facts, text)["tls.certificate"]
    issued = tls.issue(
        tls.authority(key, "ours"), key, key, ["other.example.org", "*.apps.example.org"]
    )
    (tmp_path / "crt").write_bytes(issued)
    facts.paths.site_file.write_text(text)
    assert load(facts.paths.site_file, facts).apps.domain == "apps.example.org"


def test_a_syntax_error_has_its_line(facts: Facts) -> None:
    with pytest.raises(SiteFaults) as caught:
        read(facts, "[site]\nname = x\n")
    (fault,) = caught.value.faults
    assert fault.line == 2
    assert "not TOML" in fault.message


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("site = 3", "site", "cannot be 3; give a table"),
        ('[agent]\nreserved_cpu = "1"', "agent.reserved_cpu", "cannot be"),
        ("[agent]\nreserved_cpu = true", "agent.reserved_cpu", "cannot be true"),
        ("[agent]\nreserved_cpu = -1", "agent.reserved_cpu", "from 0 on"),
        ("[agent]\ncontainer_ports = [30000]", "agent.container_ports[1]", "is missing"),
        ('[agent.docker]\nlog-opts = { a = "b" }', "agent.docker.log-opts", "is neither text nor"),
        ("[agent.docker]\ninsecure = [1, [2]]", "agent.docker.insecure", "is neither text nor"),
        ("[cache.settings]\nmaxclients = nan", "cache.settings.maxclients", "no finite number"),
        ("[agent]\ncontainer_ports = [31000, 30000]", "agent.container_ports", "before its first"),
        ('[agent]\nbridge = "0.0.0.0"', "agent.bridge", "every network"),
        (
            "[agent]\nsftp = true\ncontainer_ports = [30000, 30090]",
            "agent.container_ports",
            "too few ports for agent.sftp, which takes a tenth of them: 91",
        ),
        ('[agent]\nsftp = true\ngroup = "sftp"', "agent.group", "resource group of agent.sftp"),
        ('[agent]\naddress = "192.168.0.5"', "agent.address", "to other hosts"),
        ('[agent]\naddress = "0.0.0.0"', "agent.address", "to other hosts"),
        ('[agent]\naddress = "::"', "agent.address", "to other hosts"),
        ('[agent]\nreserved_memory = "1 GB"', "agent.reserved_memory", "a size such as"),
        ("[site]\nname = 1979-05-27", "site.name", "cannot be"),
        ('[apps]\ndomain = "10.0.0.1"', "apps.domain", "is not a domain"),
        (
            '[site]\naddress = "AI.example.org"\n[apps]\ndomain = "example.org"',
            "apps.domain",
            "has ai.example.org in it, a name of the site",
        ),
        ('[site]\naddress = "http://x"', "site.address", "neither a host name"),
        ('[network]\nallow = ["10.0.0.1/8"]', "network.allow[0]", "host bits"),
        ("[network.ports.manager]\napi = 443", "network.ports.manager.api", "from 1024"),
        ("[network.ports.managr]\napi = 8000", "network.ports.managr", "did you mean 'manager'?"),
        ("[network.ports.manager]\nap = 8000", "network.ports.manager.ap", "did you mean 'api'?"),
        ("[network.ports.manager]\napi = 8090", "network.ports.manager.api", "used twice"),
        ("[network.ports.manager]\napi = 8110", "network.ports.manager.api", "valkey"),
        ("[network.ports.manager]\napi = 8130", "network.ports.manager.api", "prometheus"),
        ("[network.ports.prometheus]\nhttp = 8100", "network.ports.prometheus.http", "postgresql"),
        ("[network.ports.valkey]\nclients = 8200", "network.ports.valkey", "no such component"),
        ("[metrics]\ndays = 0", "metrics.days", "1"),
        ('[metrics]\nsize = "much"', "metrics.size", "size"),
        ("[agent]\ncontainer_ports = [8000, 9000]", "agent.container_ports", "used twice"),
        ('[database]\nhost = "::1"', "database.host", "own server listens"),
        ('[cache]\nhost = "127.0.0.2"', "cache.host", "own server listens"),
        ("[cache]\nport = 8120", "cache.port", "is used twice: valkey (clients) and etcd"),
        ('[etcd]\nendpoints = ["127.0.0.1:8081"]', "etcd.endpoints", "used twice"),
        ("[database]\nport = 543", "database.port", "for root alone"),
        ('[etcd]\nendpoints = ["127.0.0.1:79"]', "etcd.endpoints", "for root alone"),
        ("[cache.settings]\nrequirepass = 1", "cache.settings.requirepass", "sets"),
        (
            '[database.settings]\nlisten_addresses = "*"',
            "database.settings.listen_addresses",
            "sets",
        ),
        ('[etcd.settings]\nauth-token = "simple"', "etcd.settings.auth-token", "sets"),
        (
            '[cache]\nmode = "external"\nsettings = { maxmemory = "1gb" }',
            "cache.settings",
            "own server",
        ),
        ('[cache.settings]\nsave = "900 1\\n"', "cache.settings.save", "one line"),
        ('[cache.settings]\nsave = "1\\nport 9"', "cache.settings.save", "one line"),
        ("[cache.settings]\nmaxmemory = [1]", "cache.settings.maxmemory", "neither text"),
        ('[cache.settings]\n"a b" = 1', 'cache.settings."a b"', "name of a"),
        ('[tls]\nmode = "own"', "tls.certificate", "is missing"),
        ('[tls]\nkey = "/k"', "tls.key", "has no use"),
        ('[tls]\nmode = "own"\nkey = "/nonexistent/k"', "tls.key", "No such file"),
        ('[database]\nhost = "db"', "database.host", "is not this host"),
        ('[database]\nendpoints = ["db:5432"]', "database.endpoints", "is not this host"),
        ('[database]\nendpoints = ["a:1", "a:1"]', "database.endpoints", "a member twice"),
        (
            '[database]\nendpoints = ["localhost:1", "127.0.0.1:1"]',
            "database.endpoints",
            "several members",
        ),
        ('[database]\nhost = "a"\nendpoints = ["b:1"]', "database.host", "endpoints name"),
        ('[database]\ntls = "on"', "database.tls", "external servers"),
        ('[database.coordinator]\nname = "backendai"', "database.coordinator.name", "as well"),
        ('[cache]\nmode = "external"', "cache.password_file", "is missing"),
        ('[cache]\ntls = "on"', "cache.tls", "external servers"),
        ('[cache]\nmode = "external"\ntls = "on"\nca = "/etc/passwd"', "cache.ca", "verify"),
        (
            '[cache]\nmode = "external"\ncertificate = "/etc/passwd"',
            "cache.certificate",
            "without TLS",
        ),
        ('[cache]\nmode = "external"\nkey = "/k"', "cache.certificate", "is missing"),
        ('[cache.sentinel]\nservice = "m"\nnodes = ["a:1"]', "cache.sentinel", "external"),
        ('[cache.sentinel]\nservice = "m"\nnodes = []', "cache.sentinel.nodes", "is empty"),
        ('[etcd]\nendpoints = ["e:2379"]', "etcd.endpoints", "is not this host"),
        ('[etcd]\nendpoints = ["localhost:1", "127.0.0.1:1"]', "etcd.endpoints", "several members"),
        ('[etcd]\nmode = "external"\ncertificate = "/nonexistent"', "etcd.key", "is missing"),
        ('[etcd]\nendpoints = ["[::1]:2379"]', "etcd.endpoints[0]", "IPv6"),
        ('[etcd]\nuser = "root"', "etcd.user", "administrator"),
        ('[etcd]\nuser = ""\npassword_file = "/x"', "etcd.password_file", "without a user"),
        ('[storage]\ndefault = "x"', "storage.default", "no volume 'x'"),
        ("[storage]\nvolumes = {}", "storage.volumes", "is empty"),
        ('[storage.volumes.a]\nserver = "x"', "storage.volumes.a.server", "has no use"),
        ('[storage.volumes.a]\noptions = "ro"', "storage.volumes.a.options", "has no use"),
        (
            '[storage.volumes.a]\nkind = "nfs"\nserver = "nas"\nexport = "/a"\n'
            'path = "/srv/한국과학기술원/인공지능연구센터/연구자료실"',
            "storage.volumes.a.path",
            "would have a name of 256 characters",
        ),
        (
            '[network]\nallow = ["fe80::1%x\\nUser=root\\nExecStartPre=+reboot"]',
            "network.allow[0]",
            "zone",
        ),
        ('[site]\nname = "a\\u009b2Jb"', "site.name", ""),
        ('[admin]\nemail = "a\\u001b@example.org"', "admin.email", ""),
        (
            '[storage.volumes.a]\npath="/v"\n[storage.volumes.b]\npath="/v/b"',
            "storage.volumes.b.path",
            "overlap",
        ),
    ],
)
def test_faults(facts: Facts, text: str, key: str, reason: str) -> None:
    found = faults(facts, text)
    assert key in found, found
    assert reason in found[key]


def test_a_wrong_mode_gives_no_echoes(facts: Facts) -> None:
    assert list(faults(facts, '[tls]\nmode = "mine"\nkey = "/nonexistent"')) == ["tls.mode"]


def test_sentinels_replace_host_and_port(facts: Facts, tmp_path: Path) -> None:
    found = faults(
        facts,
        f'[cache]\nmode = "external"\nport = 1\npassword_file = "{password(tmp_path)}"\n'
        '[cache.sentinel]\nservice = "m"\nnodes = ["a:1"]',
    )
    assert list(found) == ["cache.port"]


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o604, True)])
def test_a_password_file_is_for_few(facts: Facts, tmp_path: Path, mode: int, told: bool) -> None:
    path = password(tmp_path)
    path.chmod(mode)
    text = f'[cache]\nmode = "external"\nhost = "c"\npassword_file = "{path}"'
    if told:
        found = faults(facts, text)
        assert "open to everybody" in found["cache.password_file"]
        assert "hunter2" not in str(found)
    else:
        assert read(facts, text).cache.password_file == path


def test_an_empty_password_file_is_a_fault(facts: Facts, tmp_path: Path) -> None:
    path = password(tmp_path)
    path.write_text("")
    assert "is empty" in faults(facts, f'[cache]\npassword_file = "{path}"')["cache.password_file"]


def test_only_what_is_here_needs_a_password(facts: Facts, tmp_path: Path) -> None:
    for component in facts.components.values():
        if component.name != "manager":
            (facts.paths.units / component.unit).unlink(missing_ok=True)
    text = '[database]\nmode = "external"\nhost = "db"'
    assert list(faults(facts, text)) == ["database.manager.password_file"]
