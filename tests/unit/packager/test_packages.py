"""Debs and rpms built for real from tiny wheels, through the macros that every component uses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests_packager import component

SITE = "opt/backendai/26.9.6/lib/python3.13/site-packages"


def deb_field(deb: Path, name: str) -> str:
    return subprocess.run(
        ["dpkg-deb", "-f", str(deb), name], check=True, capture_output=True, text=True
    ).stdout.strip()


def deb_paths(deb: Path) -> list[str]:
    listing = subprocess.run(
        ["dpkg-deb", "-c", str(deb)], check=True, capture_output=True, text=True
    )
    return [line.split()[5].lstrip("./") for line in listing.stdout.splitlines()]


def test_a_distribution_that_one_component_needs_is_in_its_package_alone(miniature: Any) -> None:
    dist = miniature.build("c/one:backendai-one.deb", "deb")
    paths = deb_paths(dist / "backendai-one_26.9.6-1_amd64.deb")
    assert f"{SITE}/one/__init__.py" in paths
    assert f"{SITE}/one/__pycache__/__init__.cpython-313.pyc" in paths
    assert not [path for path in paths if "shared" in path]


def test_a_distribution_that_two_components_need_is_in_common(miniature: Any) -> None:
    dist = miniature.build("packaging/common:backendai-common.deb", "deb")
    paths = deb_paths(dist / "backendai-common_26.9.6-1_amd64.deb")
    assert f"{SITE}/shared/__init__.py" in paths
    assert "opt/backendai/26.9.6/pyvenv.cfg" in paths


def test_packages_of_ours_depend_on_each_other_by_exact_version(miniature: Any) -> None:
    dist = miniature.build("c/one:backendai-one.deb", "deb")
    depends = deb_field(dist / "backendai-one_26.9.6-1_amd64.deb", "Depends")
    assert depends == "backendai-common (= 26.9.6-1), backendai-runtime (= 26.9.6-1)"


def test_a_package_that_takes_files_over_breaks_and_replaces_the_older_one(miniature: Any) -> None:
    miniature.write({"c/one/BUILD": component("one", replaces=["backendai-old"])})
    deb = miniature.build("c/one:backendai-one.deb", "deb") / "backendai-one_26.9.6-1_amd64.deb"
    assert deb_field(deb, "Replaces") == deb_field(deb, "Breaks") == "backendai-old (<< 26.9.6-1)"


def test_the_rpm_says_the_same_as_the_deb_and_names_no_build_host(miniature: Any) -> None:
    dist = miniature.build("c/one:backendai-one.rpm", "rpm")
    rpm = dist / "backendai-one-26.9.6-1.x86_64.rpm"
    lead = rpm.read_bytes()
    assert b"localhost" in lead
    assert b"backendai-common" in lead
    assert b"26.9.6-1" in lead


def test_a_service_brings_its_unit_and_its_scripts(miniature: Any) -> None:
    fields = {"command": ["mgr", "start-server"], "config": "one.toml", "listens": {"api": 1234}}
    miniature.write({"c/one/BUILD": component("one", **fields)})
    deb = miniature.build("c/one:backendai-one.deb", "deb") / "backendai-one_26.9.6-1_amd64.deb"
    assert "usr/lib/systemd/system/backendai-one.service" in deb_paths(deb)
    unit = subprocess.run(
        f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./usr/lib/systemd/system/backendai-one.service",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert (
        "ExecStart=/opt/backendai/current/bin/backend.ai mgr start-server -f /etc/backendai/one.toml"
        in unit
    )
    assert "port 1234" in unit


def test_the_same_sources_give_the_same_bytes_in_another_build_root(
    miniature: Any, request: Any
) -> None:
    first = miniature.build("c/one:backendai-one.deb", "deb") / "backendai-one_26.9.6-1_amd64.deb"
    data = first.read_bytes()
    first.unlink()
    miniature.runner.write_files({"c/one/README": "not part of anything"})
    again = miniature.build("c/one:backendai-one.deb", "deb") / "backendai-one_26.9.6-1_amd64.deb"
    assert again.read_bytes() == data


def test_a_pex_holds_the_closure_of_its_component(miniature: Any) -> None:
    entry = "[console_scripts]\nbackend.ai = one:main\n"
    files = {
        "one/__init__.py": "import shared\ndef main():\n    print(shared.WHO)\n",
        "one-1.0.dist-info/entry_points.txt": entry,
    }
    miniature.lock_wheel("one", files, ["shared"])
    miniature.write({})
    pex = miniature.build("c/one:pex", "pex") / "backendai-one.pex"
    python = miniature.runner.options_bootstrapper.args[-1].split("=", 1)[1]
    done = subprocess.run(
        [python, str(pex)], capture_output=True, text=True, env={"HOME": str(pex.parent)}
    )
    assert done.stdout == "both\n", done.stderr
