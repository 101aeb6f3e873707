"""Promise: an upgrade takes nothing from a session that runs; what nobody has mounted any more goes."""

from __future__ import annotations

import json

from people import IMAGE, People
from site_host import SiteHost

KEPT = "/var/lib/backendai/session-files"
PACKAGE = "/opt/backendai/current/lib/python3.13/site-packages/ai/backend"
INSIDE = "/opt/backend.ai/lib/python3.13/site-packages/ai/backend/kernel"
DOCKER = "backendai-ctl docker"


def test_a_session_mounts_nothing_that_an_upgrade_removes(people: People) -> None:
    host = people.ann.host
    release = host.sh(f"readlink {KEPT}/current")
    with people.ann.session("upgraded") as session:
        label = f"label=ai.backend.session-id={session}"
        container = host.sh(f"{DOCKER} ps -q --filter {label}")
        (shown,) = json.loads(host.sh(f"{DOCKER} inspect {container}"))
        binds = [mount["Source"] for mount in shown["Mounts"] if mount["Type"] == "bind"]
        assert not [path for path in binds if path.startswith("/opt/")], binds
        assert len([path for path in binds if path.startswith(f"{KEPT}/{release}/")]) > 10, binds
        # As when the package of another version has taken its place.
        host.sh(f"cd {PACKAGE}; for p in kernel helpers runner; do mv $p .away-$p; done")
        try:
            look = f"{DOCKER} exec {container} sh -c"
            assert "base.py" in host.sh(f"{look} 'ls {INSIDE}'").split()
            visits = people.ann.browse(app=[session, "ttyd", None])["visits"]
            assert all("ttyd" in text for _, text in visits), visits
        finally:
            host.sh(f"cd {PACKAGE}; for p in kernel helpers runner; do mv .away-$p $p; done")


def test_files_of_an_earlier_release_go_with_the_last_who_uses_them(
    people: People, allinone: SiteHost
) -> None:
    host, old = allinone.host, f"{KEPT}/26.9.5-1"
    host.sh(f"cp -a {KEPT}/$(readlink {KEPT}/current) {old}")
    run = f"{DOCKER} run -d --network none -v {old}/kernel:/kept:ro {IMAGE} sleep 600"
    container = host.sh(run).split()[-1]
    upkeep = "systemctl start backendai-upkeep.service"
    try:
        host.sh(upkeep, timeout=120)
        assert "base.py" in host.sh(f"{DOCKER} exec {container} ls /kept").split()
    finally:
        host.sh(f"{DOCKER} rm -f {container}")
    host.sh(upkeep, timeout=120)
    assert set(host.sh(f"ls {KEPT}").split()) == {"current", host.sh(f"readlink {KEPT}/current")}
