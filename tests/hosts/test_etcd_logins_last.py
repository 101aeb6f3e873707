"""Promise: etcd wants a password, and a service that logged in once stays logged in.

Backend.AI's client never renews its login: with etcd's defaults a restart of etcd, or five quiet
minutes, would cut every service off until it is restarted.
"""

from __future__ import annotations

import json

import pytest
from host import Host
from own_servers import ETCDCTL, ETCDCTL_AS, PORTS, UNITS, VALKEY, VALKEY_LOGGED_IN, main_pid

PYTHON = "/opt/backendai/current/bin/python"
PASSWORD = "/etc/backendai/secrets/etcd-password"
# Holds one connection of the release's own client, as the services do, while etcd restarts.
CLIENT = f"""
import asyncio, json, pathlib, subprocess
from etcd_client import Client, ConnectOptions

async def main():
    password = pathlib.Path("{PASSWORD}").read_text().strip()
    options = ConnectOptions().with_user("backendai", password).with_timeout(5)
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
        "c.request('POST', '/v3/auth/authenticate', json.dumps({'name': 'backendai', 'password': p}));"
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


def test_the_services_user_reaches_the_services_keys_alone(configured: Host) -> None:
    login = ETCDCTL_AS["backendai"]
    assert configured.sh(f"{login} get --prefix /sorna/local/config/ --keys-only")
    for words in ("get --prefix /backendai-packaged/", "put /sorna/other/x 1", "user list"):
        denied = configured.run(["/bin/sh", "-c", f"{login} {words}"])
        assert "permission denied" in denied.stderr


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


def test_no_process_shows_a_password(configured: Host) -> None:
    names = ("cache-password", "etcd-password", "etcd-root-password", "etcd-token")
    shown = configured.sh(
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '"
    )
    secrets = {name: configured.sh(f"cat /etc/backendai/secrets/{name}") for name in names}
    assert [name for name, secret in secrets.items() if secret in shown] == []
