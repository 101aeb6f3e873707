"""Promise: the client on the host signs in, makes a folder, and gets back what it put there."""

from __future__ import annotations

from site_host import SiteHost

CLIENT = {
    "BACKEND_ENDPOINT_TYPE": "session",
    "BACKEND_ENDPOINT": "https://localhost:8090",
}
FOLDER = "promise"


def test_file_comes_back_with_equal_sha256(allinone: SiteHost) -> None:
    host, password = allinone.host, allinone.secret("admin-password")
    host.sh("mkdir -p /srv/up /srv/down; head -c 3000000 /dev/urandom >/srv/up/data.bin")
    login = f"admin@localhost.localdomain\n{password}\n"
    host.check(["backend.ai", "login"], stdin=login, env=CLIENT, timeout=120)
    host.check(
        ["backend.ai", "vfolder", "create", FOLDER, "local:volume1"], env=CLIENT, timeout=120
    )
    up = ["backend.ai", "vfolder", "upload", FOLDER, "data.bin"]
    host.check(up, env=CLIENT, cwd="/srv/up", timeout=180)
    down = ["backend.ai", "vfolder", "download", FOLDER, "data.bin"]
    host.check(down, env=CLIENT, cwd="/srv/down", timeout=180)
    sums = host.sh("sha256sum </srv/up/data.bin; sha256sum </srv/down/data.bin").splitlines()
    assert len(sums) == 2 and sums[0] == sums[1]
