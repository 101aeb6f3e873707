"""scripts/bench-session: from a request to a running session, against the container engine alone."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from devtools.bench_install import MEMORY, on_test_python
from release_tool.tables import table

TIMEOUT = 900  # seconds
DOCKER = "backendai-ctl docker"
ROUNDS = 3  # of what is measured with the image there; the median counts
PORT = 8149  # of an empty registry that skopeo fills
_ABOUT = """\
Install the bundle on a host without network, and measure from the request of a user to a session that
runs: with the image to be pulled, and with the image there. Beside it stands the engine alone: `docker run`
of the same image on the same host. Pushing the images to the site's empty registry stands beside `skopeo
copy` to an empty one, where this machine has skopeo. Needs root and ./pants package ::."""
_EMPTY = """\
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: /var/tmp/empty}}
http: {addr: "127.0.0.1:%d"}
"""


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when everything was measured."""
    parser = argparse.ArgumentParser(prog="scripts/bench-session", description=_ABOUT)
    parser.add_argument("--dist", type=Path, default=root / "dist", metavar="DIR")
    parser.add_argument("--disk", type=Path, default=MEMORY, metavar="DIR")
    options = parser.parse_args(argv)
    on_test_python(root)
    dist, hosts = import_module("bundle_dist"), import_module("site_host")
    scenario = import_module("scenario")
    tar = dist.find(options.dist)
    with tempfile.TemporaryDirectory(prefix="backendai-session-", dir=options.disk) as name:
        folder = Path(name)
        (folder / "bundle").mkdir()
        dist.unpack(tar, folder / "bundle")
        bundle = dist.Bundle(tar, folder / "bundle" / tar.stem)
        images = {options.dist.resolve() / "images": "/mnt/images"}
        with hosts.site_host(scenario.Hosts(), bundle, folder / "site", binds=images) as site:
            rows = [*sessions(site), *pushes(site, options.dist / "images")]
    print(f"\n{tar.stem}\n{table(['what', 'seconds', 'engine alone', 'ratio'], rows)}")
    print(f"\ndisk in {options.disk}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


def sessions(site: Any) -> list[list[str]]:
    """With the image to be pulled, and with it there: from the request until it runs."""
    accepted = [asked(site) for _ in range(1 + ROUNDS)]
    image = accepted[0]["image"]
    host = site.host
    host.sh(
        f"{DOCKER} login -u backendai --password-stdin {image.partition('/')[0]} "
        "< /etc/backendai/secrets/registry-password"
    )
    host.sh(f"{DOCKER} rmi {image}")
    run = f"{DOCKER} run --rm --network none {image} true"
    alone = [timed(lambda: host.sh(run, timeout=TIMEOUT)) for _ in range(1 + ROUNDS)]
    took = [started(one) for one in accepted]
    return [
        row("a session, its image pulled", took[0], alone[0]),
        row("a session, its image there", median(took[1:]), median(alone[1:])),
    ]


def asked(site: Any) -> dict[str, Any]:
    found: dict[str, Any] = site.ctl("accept", timeout=TIMEOUT)
    return found


def started(accepted: dict[str, Any]) -> float:
    """Seconds from the request to RUNNING, as an acceptance saw it."""
    (found,) = [one["seconds"] for one in accepted["outcomes"] if one["name"] == "session"]
    return float(found)


def pushes(site: Any, images: Path) -> list[list[str]]:
    """The step that filled the registry, against skopeo."""
    events = site.host.check(["cat", "/var/lib/backendai/ctl/journal.jsonl"]).stdout
    (took, *_) = [
        float(event["seconds"])
        for event in map(json.loads, events.splitlines())
        if event["event"] == "done" and event["step"] == "push-images"
    ]
    program = shutil.which("skopeo")
    if not program:
        return [row("the images pushed", took, None)]
    site.host.write("/var/tmp/empty.yml", _EMPTY % PORT)
    serve = "/opt/backendai/servers/registry/bin/docker-registry serve /var/tmp/empty.yml"
    site.host.sh(f"systemd-run --unit empty-registry {serve}")
    wait = f"until bash -c '</dev/tcp/127.0.0.1/{PORT}' 2>/dev/null; do sleep 0.1; done"
    site.host.sh(wait)
    inside = ["nsenter", f"--net=/run/netns/{site.network.netns}", program, "copy", "--all"]
    alone = 0.0
    for entry in json.loads((images / "index.json").read_text())["manifests"]:
        name = entry["annotations"]["org.opencontainers.image.ref.name"]
        target = f"docker://127.0.0.1:{PORT}/{name}"
        call = [*inside, "--dest-tls-verify=false", f"oci:{images}:{name}", target]
        alone += timed(partial(subprocess.run, call, check=True, stdout=subprocess.DEVNULL))
    return [row("the images pushed", took, alone)]


def timed(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def row(what: str, took: float, alone: float | None) -> list[str]:
    """`alone`: what the engine, or skopeo, takes; None where that was not measured."""
    if alone is None:
        return [what, f"{took:.1f}", "no skopeo", ""]
    return [what, f"{took:.1f}", f"{alone:.1f}", f"{took / alone:.1f}"]
