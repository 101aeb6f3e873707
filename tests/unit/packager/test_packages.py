"""Debs and rpms built for real from tiny wheels, through the macros that every component uses."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import Any

from miniature import OWN_PARTS, VERSION, component

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
    paths = deb_paths(dist / f"backendai-one_{VERSION}_amd64.deb")
    assert f"{SITE}/one/__init__.py" in paths
    assert f"{SITE}/one/__pycache__/__init__.cpython-313.pyc" in paths
    assert not [path for path in paths if "shared" in path]


def test_a_distribution_that_two_components_need_is_in_common(miniature: Any) -> None:
    dist = miniature.build("packaging/common:backendai-common.deb", "deb")
    paths = deb_paths(dist / f"backendai-common_{VERSION}_amd64.deb")
    assert f"{SITE}/shared/__init__.py" in paths
    assert "opt/backendai/26.9.6/pyvenv.cfg" in paths


def test_packages_of_ours_depend_on_each_other_by_exact_version(miniature: Any) -> None:
    dist = miniature.build("c/one:backendai-one.deb", "deb")
    depends = deb_field(dist / f"backendai-one_{VERSION}_amd64.deb", "Depends")
    assert depends == f"backendai-common (= {VERSION}), backendai-runtime (= {VERSION})"


def test_a_package_that_takes_files_over_breaks_and_replaces_the_older_one(miniature: Any) -> None:
    miniature.write({"c/one/BUILD": component("one", replaces=["backendai-old"])})
    deb = miniature.build("c/one:backendai-one.deb", "deb") / f"backendai-one_{VERSION}_amd64.deb"
    assert deb_field(deb, "Replaces") == deb_field(deb, "Breaks") == f"backendai-old (<< {VERSION})"


def test_the_rpm_says_the_same_as_the_deb_and_names_no_build_host(miniature: Any) -> None:
    dist = miniature.build("c/one:backendai-one.rpm", "rpm")
    rpm = dist / f"backendai-one-{VERSION}.x86_64.rpm"
    lead = rpm.read_bytes()
    assert b"localhost" in lead
    assert b"backendai-common" in lead
    assert f"{VERSION}".encode() in lead


def test_a_service_brings_its_unit_and_its_scripts(miniature: Any) -> None:
    fields = {
        "command": ["mgr", "start-server"],
        "config": "one.toml",
        "credentials": ["rpc/x.key"],
        "listens": {"api": 1234},
        "health": "http://127.0.0.1:{api}/health",
        "memory": "3G",
    }
    miniature.write({"c/one/BUILD": component("one", **fields)})
    deb = miniature.build("c/one:backendai-one.deb", "deb") / f"backendai-one_{VERSION}_amd64.deb"
    assert "usr/lib/systemd/system/backendai-one.service" in deb_paths(deb)
    unit = subprocess.run(
        f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./usr/lib/systemd/system/backendai-one.service",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert (
        "backendai_serve --health http://127.0.0.1:1234/health"
        " -- /opt/backendai/current/bin/backend.ai mgr start-server"
        " -f /run/credentials/backendai-one.service/one.toml" in unit
    )
    assert "LoadCredential=one.toml:/etc/backendai/one.toml" in unit
    assert "LoadCredential=x.key:/etc/backendai/rpc/x.key" in unit
    assert "port 1234" in unit
    assert "\nMemoryMax=3G\n" in unit
    # Its own folders, and none of anybody else's.
    hidden = "/etc/backendai:ro /etc/backendai/tls:ro /var/lib/backendai:ro /run/backendai:ro"
    assert f"\nTemporaryFileSystem={hidden}\nTemporaryFileSystem=/run:ro /run/systemd:ro\n" in unit
    assert "\nBindPaths=/var/lib/backendai/one /run/backendai/one\n" in unit
    assert "\nInaccessiblePaths=-/var/backups/backendai -/vfroot\n" in unit
    assert "docker" not in unit
    control = miniature.cache / "control"
    subprocess.run(["dpkg-deb", "--control", str(deb), str(control)], check=True)
    assert "/var/lib/backendai/ctl/ready/one" in (control / "postinst").read_text("utf-8")
    assert (control / "triggers").read_text("utf-8") == "activate-noawait backendai-configure\n"
    assert f"backendai-ctl (= {VERSION})" in deb_field(deb, "Depends")


def test_a_further_service_of_a_component_needs_that_one_and_brings_a_unit_alone(
    miniature: Any,
) -> None:
    fields = {"command": ["mgr", "start-server"], "config": "more.toml", "memory": "1G"}
    more = component("more", distributions=[], runs="one", **fields)
    miniature.write({"c/more/BUILD": more})
    deb = (
        miniature.build("c/more:backendai-more.deb", "deb") / f"backendai-more_{VERSION}_amd64.deb"
    )
    ours = deb_field(deb, "Depends").split(", ")
    assert ours == [f"backendai-ctl (= {VERSION})", f"backendai-one (= {VERSION})"]
    paths = deb_paths(deb)
    assert "usr/lib/systemd/system/backendai-more.service" in paths
    assert not [path for path in paths if path.startswith("opt/")]


def test_a_plugin_opens_its_devices_to_the_service_that_it_extends(miniature: Any) -> None:
    fields = {"extends": "agent", "devices": ["char-kfd", "char-drm"], "groups": ["render"]}
    fields["libraries"] = ["libamdhip64.so"]
    miniature.write({"c/one/BUILD": component("one", **fields)})
    deb = miniature.build("c/one:backendai-one.deb", "deb") / f"backendai-one_{VERSION}_amd64.deb"
    path = "usr/lib/systemd/system/backendai-agent.service.d/backendai-one.conf"
    drop_in = subprocess.run(
        f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./{path}",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = [line for line in drop_in.splitlines() if not line.startswith("#")]
    assert lines == [
        *("[Service]", "PrivateDevices=no", "DeviceAllow=char-kfd rw", "DeviceAllow=char-drm rw"),
        *("X-Libraries=libamdhip64.so", "X-Groups=render"),
    ]
    control = miniature.cache / "control"
    subprocess.run(["dpkg-deb", "--control", str(deb), str(control)], check=True)
    assert (control / "triggers").read_text("utf-8") == "activate-noawait backendai-configure\n"
    assert "/ctl/pending" in (control / "postinst").read_text("utf-8")
    assert not (control / "prerm").exists()


def test_the_same_sources_give_the_same_bytes_in_another_build_root(
    miniature: Any, request: Any
) -> None:
    first = miniature.build("c/one:backendai-one.deb", "deb") / f"backendai-one_{VERSION}_amd64.deb"
    data = first.read_bytes()
    first.unlink()
    miniature.runner.write_files({"c/one/README": "not part of anything"})
    again = miniature.build("c/one:backendai-one.deb", "deb") / f"backendai-one_{VERSION}_amd64.deb"
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


def test_what_packages_of_the_distribution_are_called_is_said_for_each_format(
    miniature: Any,
) -> None:
    suggests = {"deb": ["docker.io"], "rpm": ["docker-ce"]}
    miniature.write({"c/one/BUILD": component("one", suggests=suggests)})
    deb = miniature.build("c/one:backendai-one.deb", "deb") / f"backendai-one_{VERSION}_amd64.deb"
    assert deb_field(deb, "Suggests") == "docker.io"
    rpm = miniature.build("c/one:backendai-one.rpm", "rpm") / f"backendai-one-{VERSION}.x86_64.rpm"
    assert b"docker-ce" in rpm.read_bytes() and b"docker.io" not in rpm.read_bytes()


RUNTIME = """
backendai_runtime_tree(
    name="tree", package="backendai-runtime", packages="python", source="sitecustomize.py",
)
"""
SERVER = """
backendai_server(
    name="serve", summary="A server", description="For a test.", debian=["serve", "libown"],
    programs=["bin/*"], data=["lib/serve"], links={"bin/server": "serve"},
)
"""


def test_a_server_is_made_of_its_debian_packages_on_the_libraries_of_the_runtime(
    miniature: Any, make_deb: Any, make_elf: Any, tmp_path: Path
) -> None:
    lib, doc = "./usr/lib/x86_64-linux-gnu", "./usr/share/doc"
    packages: dict[str, dict[str, Any]] = {
        "python": {
            "./usr/bin/python3.13": b"#!/bin/sh\n",
            "./usr/lib/python3.13/os.py": b"",
            f"{lib}/libc.so.6": make_elf(soname="libc.so.6"),
        },
        "serve": {
            "./usr/bin/serve": b"#!/bin/sh\n",
            "./usr/lib/serve/module.so": make_elf(needed=["libc.so.6", "libown.so.1"]),
        },
        "libown": {f"{lib}/libown.so.1": make_elf(soname="libown.so.1", needed=["libc.so.6"])},
    }
    for name, files in packages.items():
        license = {f"{doc}/{name}/copyright": b"License: MIT\n"}
        deb = make_deb(tmp_path / f"{name}.deb", {**files, **license}, package=name)
        miniature.lock_deb(deb, "python" if name == "python" else "serve")
    miniature.write({"r/BUILD": RUNTIME, "r/sitecustomize.py": "", "s/BUILD": SERVER})
    deb = miniature.build("s:backendai-serve.deb", "deb") / f"backendai-serve_{VERSION}_amd64.deb"
    top = "opt/backendai/servers/serve/"
    inside = {path[len(top) :] for path in deb_paths(deb) if path.startswith(top)}
    assert {path for path in inside if path and path[-1] != "/"} == {
        "bin/serve",
        "bin/server",
        "lib/libown.so.1",
        "lib/serve/module.so",
        "share/licenses/libown/copyright",
        "share/licenses/serve/copyright",
    }
    assert deb_field(deb, "Depends") == f"backendai-runtime (= {VERSION})"


TEXTS = """
files(name="texts", sources=["x.1", "x.zsh"])
backendai_package(
    name="backendai-x", summary="X", description="For a test.", dependencies=[":texts"],
    files={
        "x.1": "/usr/share/man/man1/x.1.gz",
        "x.zsh": {"deb": "/usr/share/of-deb/_x", "rpm": "/usr/share/of-rpm/_x"},
    },
)
"""


def test_a_file_may_have_another_place_in_each_format_and_manual_pages_are_compressed(
    miniature: Any,
) -> None:
    miniature.write({"x/BUILD": TEXTS, "x/x.1": ".TH X 1\n" * 50, "x/x.zsh": "#compdef x\n"})
    deb = miniature.build("x:backendai-x.deb", "deb") / f"backendai-x_{VERSION}_amd64.deb"
    paths = deb_paths(deb)
    assert "usr/share/of-deb/_x" in paths and "usr/share/of-rpm/_x" not in paths
    page = subprocess.run(
        f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./usr/share/man/man1/x.1.gz",
        shell=True,
        check=True,
        capture_output=True,
    ).stdout
    assert gzip.decompress(page) == b".TH X 1\n" * 50
    assert page[3:9] == b"\0\0\0\0\0\x02"  # no name, no time, the best that gzip can do
    rpm = miniature.build("x:backendai-x.rpm", "rpm") / f"backendai-x-{VERSION}.x86_64.rpm"
    assert b"of-rpm" in rpm.read_bytes() and b"of-deb" not in rpm.read_bytes()


OWN = (
    OWN_PARTS
    + """backendai_package(
    name="backendai-own", summary="Ours", description="For a test.",
    dependencies=[":tree", ":share"], folders={"share": "/usr/share/backendai"},
    licenses="licenses.json",
)
"""
)


def test_our_own_python_is_a_distribution_like_any_other(miniature: Any) -> None:
    write_own(miniature)
    deb = miniature.build("c/own:backendai-own.deb", "deb") / f"backendai-own_{VERSION}_amd64.deb"
    paths = deb_paths(deb)
    assert f"{SITE}/our_own/__pycache__/__init__.cpython-313.pyc" in paths
    assert f"{SITE}/our_own-26.9.6.dist-info/entry_points.txt" in paths
    assert "opt/backendai/26.9.6/bin/our-own" in paths
    assert not [path for path in paths if "site-packages/shared" in path]
    assert "backendai-common" in deb_field(deb, "Depends")


def test_the_facts_of_components_and_files_of_an_unpacked_wheel_are_shared(miniature: Any) -> None:
    write_own(miniature)
    deb = miniature.build("c/own:backendai-own.deb", "deb") / f"backendai-own_{VERSION}_amd64.deb"
    share = "usr/share/backendai"
    assert [path for path in deb_paths(deb) if path.startswith(share) and path[-1] != "/"] == [
        f"{share}/components/one.json",
        f"{share}/fixtures/a.json",
        f"{share}/release.json",
        f"{share}/roles.json",
        f"{share}/templates/one.toml.j2",
    ]


def write_own(miniature: Any) -> None:
    miniature.lock_wheel("data", {"data/a.json": "{}", "data/__init__.py": ""})
    miniature.unpacked["data"] = miniature.packages.pop("data")
    service = {"command": ["x"], "config": "one.toml", "health": "http://127.0.0.1:1/"}
    service["memory"] = "1G"
    miniature.write(
        {
            "c/own/BUILD": OWN,
            "c/one/BUILD": component("one", **service),
            "c/one/one.toml.j2": "x = 1\n",
            "src/our_own/__init__.py": "def main():\n    print('ours')\n",
        }
    )
