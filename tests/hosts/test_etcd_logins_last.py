"""Promise: etcd wants a password from everybody, and a login lets each service do what it needs alone.

A login lasts: with etcd's defaults a restart of etcd, or five quiet minutes, would end it.
"""

from __future__ import annotations

import json

import pytest
from host import Host
from own_servers import (
    ETCDCTL,
    ETCDCTL_AS,
    PORTS,
    SECRETS,
    UNITS,
    VALKEY,
    VALKEY_LOGGED_IN,
    VALKEY_SHARED,
    main_pid,
)

from backendai_serve.cache import LOGINS

PYTHON = "/opt/backendai/current/bin/python"
PASSWORD = "/etc/backendai/secrets/etcd-manager"
# Holds one connection of the release's own client, as the services do, while etcd restarts.
CLIENT = f"""
import asyncio, json, pathlib, subprocess
from etcd_client import Client, ConnectOptions

async def main():
    password = pathlib.Path("{PASSWORD}").read_text().strip()
    options = ConnectOptions().with_user("backendai-manager", password).with_timeout(5)
    said = []
    async with Client(["http://127.0.0.1:{PORTS["etcd"]}"], connect_options=options).connect(options) as etcd:
        await etcd.put(b"/sorna/local/test", b"1")
        subprocess.run(["systemctl", "restart", "{UNITS["etcd"]}"], check=True)
        for _ in range(50):  # its connection comes back by itself within seconds
            try:
                said.append(bytes(await etcd.get(b"/sorna/local/test")).decode())
                break
            except Exception as failure:
                said.append(str(failure))
                await asyncio.sleep(0.2)
        await etcd.delete(b"/sorna/local/test")
    print(json.dumps(said))

asyncio.run(main())
"""


def test_a_login_survives_a_restart_of_etcd(configured: Host) -> None:
    said = json.loads(configured.check([PYTHON, "-I", "-c", CLIENT]).stdout)
    assert said[-1] == "1", said
    assert not any("auth" in failure for failure in said)


def test_a_login_lasts_for_years(configured: Host) -> None:
    script = (
        "import base64, http.client, json, pathlib, time;"
        f"c = http.client.HTTPConnection('127.0.0.1', {PORTS['etcd']});"
        f"p = pathlib.Path('{PASSWORD}').read_text().strip();"
        "login = json.dumps({'name': 'backendai-manager', 'password': p});"
        "c.request('POST', '/v3/auth/authenticate', login);"
        "t = json.loads(c.getresponse().read())['token'].split('.')[1];"
        "print(json.loads(base64.urlsafe_b64decode(t + '==='))['exp'] - time.time())"
    )
    assert float(configured.check([PYTHON, "-I", "-c", script]).stdout) > 9 * 365 * 86400


@pytest.mark.parametrize("user", ["root", "bai", "nobody"])
def test_without_the_password_nobody_reads_or_writes(configured: Host, user: str) -> None:
    for words in (["get", "--prefix", "/"], ["put", "/sorna/local/x", "1"], ["auth", "disable"]):
        result = configured.run([*ETCDCTL.split(), *words], user=user)
        assert result.returncode != 0
        assert "user name is empty" in result.stderr


def test_no_service_reaches_other_keys_than_those_of_services(configured: Host) -> None:
    for login in (ETCDCTL_AS["manager"], ETCDCTL_AS["agent"]):
        assert configured.sh(f"{login} get --prefix /sorna/local/config/ --keys-only")
        for words in ("get --prefix /backendai-packaged/", "put /sorna/other/x 1", "user list"):
            denied = configured.run(["/bin/sh", "-c", f"{login} {words}"])
            assert "permission denied" in denied.stderr


def test_an_agent_changes_no_setting_and_learns_nothing_of_storage(configured: Host) -> None:
    """Whoever has taken a node over could send all others to servers of his own."""
    login = ETCDCTL_AS["agent"]
    for words in (
        "put /sorna/local/config/redis/addr 192.0.2.1:6379",
        "put /sorna/local/volumes/proxies/local/manager_api http://192.0.2.1",
        "del /sorna/local/config/redis/password",
        "put /sorna/local/manager/status frozen",
        "get --prefix /sorna/local/ai/",
    ):
        denied = configured.run(["/bin/sh", "-c", f"{login} {words}"])
        assert "permission denied" in denied.stderr, words
    secret = configured.sh("cat /etc/backendai/secrets/storage-manager")
    assert secret not in configured.sh(f"{ETCDCTL_AS['root']} get --prefix /")


def test_valkey_wants_its_password_from_everybody(configured: Host) -> None:
    assert "NOAUTH" in configured.sh(f"{VALKEY} ping")
    configured.sh(f"systemctl restart {UNITS['valkey']}")
    assert "NOAUTH" in configured.sh(f"{VALKEY} ping")
    assert configured.sh(f"{VALKEY_LOGGED_IN} ping") == "PONG"
    configured.sh(f"{VALKEY_LOGGED_IN} set kept yes")
    before = main_pid(configured, "valkey")
    configured.sh(f"kill -9 {before}")
    configured.sh(
        f'for i in $(seq 300); do [ "$({VALKEY_LOGGED_IN} get kept)" != yes ] || exit 0; sleep 0.1; '
        "done; exit 1"
    )
    assert main_pid(configured, "valkey") != before


def test_who_signed_in_is_for_web_servers_alone(configured: Host) -> None:
    """Agents have the password that services share: nothing leads from their databases to that one."""
    web = f'REDISCLI_AUTH="$(cat {SECRETS}/cache-webserver)" {VALKEY} --user webserver'
    assert configured.sh(f"{web} -n {LOGINS} set AIOHTTP_SESSION_x theirs") == "OK"
    assert configured.sh(f"{web} -n {LOGINS} get AIOHTTP_SESSION_x") == "theirs"
    assert configured.sh(f"{VALKEY_SHARED} -n 4 set forged yes") == "OK"
    script = f"redis.call('select','{LOGINS}') return redis.call('get','AIOHTTP_SESSION_x')"
    for words in (
        f"-n {LOGINS} get AIOHTTP_SESSION_x",
        f'-n 0 eval "{script}" 0',
        f"swapdb 4 {LOGINS}",
        f"-n 4 move forged {LOGINS}",
        f"-n 4 copy forged AIOHTTP_SESSION_y DB {LOGINS}",
        "client tracking on bcast",
        "replicaof 127.0.0.1 1",
        "config set dir /tmp",
        "acl list",
        "monitor",
        "flushall",
    ):
        denied = configured.run(["/bin/sh", "-c", f"{VALKEY_SHARED} {words}"])
        said = denied.stdout + denied.stderr
        assert "NOPERM" in said or "ACL failure" in said, words
        assert "theirs" not in said
    for number in (2, 4):
        denied = configured.run(["/bin/sh", "-c", f"{web} -n {number} get x"])
        assert "NOPERM" in denied.stdout + denied.stderr


def test_no_process_shows_a_password(configured: Host) -> None:
    names = (
        "cache-password",
        "cache-root-password",
        "cache-webserver",
        "etcd-agent",
        "etcd-manager",
        "etcd-root-password",
        "etcd-token",
    )
    shown = configured.sh(
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '"
    )
    secrets = {name: configured.sh(f"cat {SECRETS}/{name}") for name in names}
    assert [name for name, secret in secrets.items() if secret in shown] == []
