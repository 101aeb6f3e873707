"""The kernel's own NFS 4.2, served by our exports and mounted by our units, in one machine.

First it is the storage node of a site and serves a volume to node `gpu1`. Then it is that node's stand-in:
a host whose site file names a server `nas`, which it reaches from gpu1's address.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import Disk

STORE, CLIENT = "10.79.0.1", "10.79.0.2"
TIMEOUT = 1500  # seconds for a boot and its script
SITE_OF_THE_STORE = f"""\
[site]
address = "{STORE}"
[network]
allow = ["10.79.0.0/24"]
[nodes.mgmt]
address = "10.79.0.9"
roles = ["management"]
[nodes.store]
address = "{STORE}"
roles = ["storage"]
[nodes.gpu1]
address = "{CLIENT}"
roles = ["compute"]
[storage.volumes.home]
kind = "nfs"
server = "store"
"""
SITE_OF_THE_CLIENT = """\
[storage.volumes.home]
kind = "nfs"
server = "nas"
export = "/vfroot/home"
path = "/mnt/home"
"""
# Every boot: both addresses, and what goes to the server comes from the client's.
NETWORK = f"""
set -u
ip link set lo up
ip address add {STORE}/32 dev lo
ip address add {CLIENT}/32 dev lo
ip route replace local {STORE} dev lo table local src {CLIENT}
grep -q nas /etc/hosts || echo '{STORE} nas' >>/etc/hosts
told() {{ echo "== $1"; shift; "$@"; echo "-- $?"; }}
"""
FIRST = f"""{NETWORK}
set -e
echo store >/etc/hostname; hostname store
cat >/etc/backendai/site.toml <<'EOF'
{SITE_OF_THE_STORE}EOF
set +e
told export backendai-ctl reconfigure --only create-volumes --only export-volumes
told again backendai-ctl reconfigure --only create-volumes --only export-volumes --json
told exports exportfs -v
told versions cat /proc/fs/nfsd/versions
told rpcbind systemctl is-active rpcbind.socket rpcbind.service
cat >/etc/backendai/site.toml <<'EOF'
{SITE_OF_THE_CLIENT}EOF
# The server's part of the site is another node's now: its files stay.
told mount backendai-ctl reconfigure --only create-volumes
told table grep ' /mnt/home nfs4 ' /proc/mounts
told check backendai-ctl storage check --json
told squash sh -c 'touch /mnt/home/of-root && stat -c %u:%g /vfroot/home/of-root'
as_bai='setpriv --reuid 1100 --regid 1100 --clear-groups'
told number sh -c "$as_bai touch /mnt/home/of-bai; stat -c %u:%g /vfroot/home/of-bai"
told stop systemctl stop mnt-home.mount
told woken ls /mnt/home/of-bai
systemctl stop nfs-server
told hangs timeout 90 backendai-ctl storage check --json
(cat /mnt/home/version.txt >/run/read-later; echo done >>/run/read-later) &
systemctl start nfs-server
wait $!
told goes-on cat /run/read-later
# For the next boot: no server. A service that needs the volume, in place of the storage proxy's program.
systemctl disable nfs-server
mkdir -p /etc/systemd/system/backendai-storage-proxy.service.d
cat >/etc/systemd/system/backendai-storage-proxy.service.d/zz.conf <<'EOF'
[Unit]
ConditionPathExists=
ConditionFileNotEmpty=
[Service]
Type=exec
LoadCredential=
SetCredential=
ExecStart=
ExecStart=/usr/bin/sleep infinity
EOF
systemctl daemon-reload
# What a whole run leaves, without which a host counts as not configured; none can be made without etcd.
echo '{{"steps": {{}}}}' >/var/lib/backendai/ctl/result.json
systemctl enable backendai-storage-proxy.service backendai.target
exit 0
"""
SECOND = f"""{NETWORK}
told up systemctl is-active multi-user.target dbus.service systemd-logind.service
told proxy systemctl is-active backendai-storage-proxy.service
told volumes timeout 90 backendai-ctl storage status --json
told doctor timeout 600 backendai-ctl doctor --json
systemctl start nfs-server
for n in $(seq 120); do systemctl is-active --quiet backendai-storage-proxy.service && break; sleep 1; done
told healed systemctl is-active backendai-storage-proxy.service mnt-home.mount
exit 0
"""


def parts(said: str) -> dict[str, tuple[int, str]]:
    """What each command gave, by the name it was told under: exit status and output."""
    found = {}
    for piece in said.split("== ")[1:]:
        name, _, rest = piece.partition("\n")
        output, _, status = rest.partition("-- ")
        found[name] = int(status.split()[0]), output
    return found


@pytest.fixture(scope="module")
def first(disk: Disk) -> dict[str, tuple[int, str]]:
    said = disk.boot(FIRST, timeout=TIMEOUT)
    print(said)
    return parts(said)


def findings(part: tuple[int, str]) -> dict[str, dict[str, Any]]:
    data = json.loads(part[1])
    return {row["name"]: row for row in data["findings"]}


def test_the_kernel_takes_our_exports_and_serves_version_4_alone(
    first: dict[str, tuple[int, str]],
) -> None:
    assert first["export"][0] == 0, first["export"]
    assert {row["state"] for row in json.loads(first["again"][1])["steps"].values()} == {"same"}
    status, text = first["exports"]
    assert status == 0 and CLIENT in text
    assert "root_squash" in text and "anonuid=1100" in text and "fsid=" in text
    assert "-3" in first["versions"][1].split() and "+4.2" in first["versions"][1].split()
    assert "active" not in first["rpcbind"][1].split()


def test_our_units_mount_it_with_one_number_on_both_sides(
    first: dict[str, tuple[int, str]],
) -> None:
    assert first["mount"][0] == 0, first["mount"]
    table = first["table"][1]
    assert "nas:/vfroot/home" in table and "vers=4.2" in table and ",hard," in table
    rows = findings(first["check"])
    assert rows["ids"]["message"] == "a file of bai belongs to 1100:1100"
    assert rows["use"]["level"] == "ok"
    assert rows["squash"]["message"] == "root is bai 1100:1100 there"
    assert first["squash"] == (0, "1100:1100\n")
    assert first["number"] == (0, "1100:1100\n")


def test_a_look_mounts_it_again(first: dict[str, tuple[int, str]]) -> None:
    assert first["stop"][0] == 0
    assert first["woken"] == (0, "/mnt/home/of-bai\n")


def test_nothing_of_ours_hangs_on_a_server_that_hangs(first: dict[str, tuple[int, str]]) -> None:
    assert first["hangs"][0] == 1
    assert findings(first["hangs"])["answer"]["level"] == "fail"
    assert first["goes-on"] == (0, "3done\n")


def test_a_boot_without_the_server_completes_and_heals(
    disk: Disk, first: dict[str, tuple[int, str]]
) -> None:
    said = disk.boot(SECOND, timeout=TIMEOUT)
    print(said)
    second = parts(said)
    assert second["up"][1].split() == ["active", "active", "active"]
    assert "active" not in second["proxy"][1].split()
    (row,) = json.loads(second["volumes"][1])["volumes"]
    assert (second["volumes"][0], row["message"]) == (1, "not mounted")
    (row,) = (f for f in json.loads(second["doctor"][1])["findings"] if f["name"] == "mounts")
    assert (second["doctor"][0], row["level"]) == (1, "fail")
    assert "home (nas:/vfroot/home) is not mounted" in row["message"] and "nas" in row["hint"]
    assert second["healed"][1].split() == ["active", "active"]
