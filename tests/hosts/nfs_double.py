"""NFS between throw-away hosts whose kernel has none: a server in user space, a stand-in for mount.

Both hosts stand on the root "trixie-nfs". The server is nfs-ganesha, which speaks NFS 4 on the wire and
serves what the exports of the host say; the client asks it and then binds its folder. See `inside/` for
what that does not show; tests/vm has the kernel's own.
"""

from __future__ import annotations

from host import Host
from scenario import INSIDE

ROOT = "trixie-nfs"
HELPER = "/usr/sbin/mount.backendai-nfs"
SEEN = "/nas"  # where a client's host has the server's folders, as far as the test binds them
_SERVER = """\
[Unit]
Description=NFS server (a stand-in)
After=network.target dbus.socket

[Service]
Type=exec
RuntimeDirectory=ganesha
ExecStartPre=/usr/sbin/exportfs --write
ExecStart=/usr/bin/ganesha.nfsd -F -L /var/log/ganesha/ganesha.log -f /etc/ganesha/ganesha.conf
# Up when it listens.
ExecStartPost=/bin/sh -c 'until ss -Hltn sport = :2049 | grep -q .; do sleep 0.1; done'
TimeoutStartSec=60
KillSignal=SIGKILL

[Install]
WantedBy=multi-user.target
"""


def quiet(host: Host) -> None:
    """Nothing of NFS runs but what a test starts."""
    host.sh("systemctl disable --now nfs-ganesha nfs-client.target >/dev/null 2>&1 || :")
    host.sh("systemctl reset-failed")


def server(host: Host) -> None:
    """Let this host have `nfs-server.service` and `exportfs`."""
    quiet(host)
    host.sh(f"install -m 755 {INSIDE}/exportfs.double /usr/sbin/exportfs")
    host.write("/usr/lib/systemd/system/nfs-server.service", _SERVER)
    host.sh("mkdir -p /var/log/ganesha; systemctl daemon-reload")


def client(host: Host) -> None:
    """Let this host mount NFS; its `calls` tell how it was asked to."""
    quiet(host)
    host.sh(
        f"dpkg-divert --quiet --local --rename --add {HELPER};"
        f"install -m 755 {INSIDE}/mount.nfs.double {HELPER}"
    )


def calls(host: Host) -> list[list[str]]:
    """Source, target and options of every mount so far."""
    text = host.sh("cat /run/mount.nfs.calls 2>/dev/null || :")
    return [line.split(" ") for line in text.splitlines()]
