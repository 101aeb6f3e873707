from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from releasekit.errors import Failure
from releasekit.image_files import Files, Node, folder, link, text
from releasekit.image_setup import (
    add_dpkg,
    add_ld_cache,
    installed,
    libraries,
    list_names,
    relations,
    set_up,
)
from releasekit.ld_cache import ld_cache

LIB = "usr/lib/x86_64-linux-gnu"


def set_up_of(content: dict[str, str]) -> Files:
    """A layer of these files after its set-up."""
    files = Files()
    for path, value in content.items():
        files.put(path, text(value))
    set_up(files)
    return files


def test_a_layer_without_a_package_gets_nothing_of_it() -> None:
    files = set_up_of({"usr/bin/tool": "#!x"})
    assert sorted(files.nodes) == ["usr", "usr/bin", "usr/bin/tool"]


def test_what_a_script_would_copy_is_copied_and_what_is_there_stays() -> None:
    given = {
        "usr/share/base-files/dot.bashrc": "new",
        "usr/share/libc-bin/nsswitch.conf": "hosts: files",
        "usr/share/debianutils/shells": "/bin/sh",
        "etc/shells": "mine",
    }
    files = set_up_of(given)
    assert files.nodes["root/.bashrc"].data == b"new"
    assert files.nodes["etc/nsswitch.conf"].data == b"hosts: files"
    assert files.nodes["etc/shells"].data == b"mine"


def test_who_has_a_shell_of_any_package_may_log_in() -> None:
    """sshd of a session refuses everybody else, whatever key he has."""
    folder_of = "usr/share/debianutils/shells"
    given = {folder_of: "# valid\n/bin/sh\n", f"{folder_of}.d/dash": "/bin/dash\n"}
    files = set_up_of({**given, f"{folder_of}.d/bash": "/bin/bash\n"})
    assert files.nodes["etc/shells"].data == b"# valid\n/bin/sh\n/bin/bash\n/bin/dash\n"


def test_the_base_has_the_folders_that_no_package_ships() -> None:
    files = set_up_of({"usr/share/base-files/profile": "umask 022"})
    assert files.nodes["etc/profile"].data == b"umask 022"
    assert {files.nodes[path] for path in ("mnt", "srv", "home/work")} == {folder()}
    assert files.nodes["run/lock"] == folder(0o1777)
    assert files.nodes["var/run"] == link("/run")
    assert files.nodes["var/lock"] == link("/run/lock")


def test_accounts_have_no_password_and_hide_that() -> None:
    files = set_up_of(
        {
            "usr/share/base-passwd/passwd.master": "root:*:0:0::/root:/bin/bash\nman:*:6:12::/:/x\n",
            "usr/share/base-passwd/group.master": "root:*:0:\nshadow:*:42:\n",
        }
    )
    assert files.nodes["etc/passwd"].data.startswith(b"root:*:0:0:")
    shadow, gshadow = files.nodes["etc/shadow"], files.nodes["etc/gshadow"]
    for node in (shadow, gshadow):
        assert (node.mode, node.owner) == (0o640, (0, 42))
    rows = [line.split(":") for line in shadow.data.decode().splitlines()]
    assert [(row[0], row[1], len(row)) for row in rows] == [("root", "*", 9), ("man", "*", 9)]
    groups = [line.split(":")[0] for line in files.nodes["etc/group"].data.decode().splitlines()]
    assert groups == ["root", "shadow", "grpread"], "a session's start-up asks for the last"
    names = [line.split(":")[0] for line in gshadow.data.decode().splitlines()]
    assert names == groups
    assert files.nodes["etc/subuid"].data == files.nodes["etc/subgid"].data == b""


def test_the_rules_of_pam_are_there_where_pam_is() -> None:
    files = set_up_of({"usr/share/pam/common-auth": "..."})
    rules = {path for path in files.nodes if path.startswith("etc/pam.d/common-")}
    words = ("account", "auth", "password", "session", "session-noninteractive")
    assert rules == {f"etc/pam.d/common-{word}" for word in words}
    assert files.nodes["etc/security/opasswd"].mode == 0o600


def test_the_time_of_an_image_is_universal() -> None:
    files = set_up_of({"usr/share/zoneinfo/Etc/UTC": "TZif"})
    assert files.nodes["etc/localtime"] == link("/usr/share/zoneinfo/Etc/UTC")
    assert files.nodes["etc/timezone"].data == b"Etc/UTC\n"


def test_authorities_are_in_one_file() -> None:
    folder = "usr/share/ca-certificates/mozilla"
    files = set_up_of({f"{folder}/b.crt": "B\n", f"{folder}/a.crt": "A\n", f"{folder}/README": "-"})
    assert files.nodes["etc/ssl/certs/ca-certificates.crt"] == text("A\nB\n")


def test_a_generic_name_leads_to_its_program_unless_it_is_taken() -> None:
    given = {name: "" for name in ("usr/bin/mawk", "usr/bin/less", "usr/bin/python3")}
    files = set_up_of({**given, "usr/bin/pager": "mine"})
    assert files.nodes["usr/bin/awk"] == link("mawk")
    assert files.nodes["usr/bin/python"] == link("python3")
    assert files.nodes["usr/bin/pager"].data == b"mine"
    assert "usr/bin/editor" not in files.nodes


def test_libraries_are_known_by_the_name_that_programs_ask_for(
    make_elf: Callable[..., bytes],
) -> None:
    files = Files()
    contents = {
        f"{LIB}/libx.so.1.2": make_elf(soname="libx.so.1"),
        f"{LIB}/module.so": make_elf(),
        f"{LIB}/libm.so": b"/* GNU ld script */",
        f"{LIB}/perl/libp.so.1": make_elf(soname="libp.so.1"),
        "usr/lib/libelsewhere.so.1": make_elf(soname="libelsewhere.so.1"),
    }
    for path, data in contents.items():
        files.put(path, Node("file", data=data))
    files.put(f"{LIB}/libx.so.1", link("libx.so.1.2"))
    assert libraries(files) == {"libx.so.1": f"/{LIB}/libx.so.1.2"}


def test_the_loaders_cache_has_what_it_is_told() -> None:
    files, known = Files(), {"libx.so.1": f"/{LIB}/libx.so.1"}
    add_ld_cache(files, known)
    assert files.nodes["etc/ld.so.cache"] == Node("file", data=ld_cache(known))


def test_a_damaged_library_is_named(make_elf: Callable[..., bytes]) -> None:
    files = Files()
    files.put(f"{LIB}/libx.so.1", Node("file", data=make_elf(soname="libx.so.1")[:70]))
    with pytest.raises(Failure, match=f"{LIB}/libx.so.1"):
        libraries(files)


def test_lists_of_libraries_are_named_with_their_architecture() -> None:
    controls = [
        {"Package": "libc6", "Architecture": "amd64", "Multi-Arch": "same"},
        {"Package": "bash", "Architecture": "amd64", "Multi-Arch": "foreign"},
    ]
    found = list_names(controls, {"libc6": ["lib/x"], "bash": ["bin/bash"]})
    assert found == {"libc6:amd64": ["lib/x"], "bash": ["bin/bash"]}


STATUS = """\
Package: bash
Pre-Depends: libc6 (>= 2.38), libtinfo6 (>= 6)
Depends: base-files (>= 2.1.12), debconf (>= 0.5) | debconf-2.0

Package: debconf
Provides: debconf-2.0, dialog (= 1.0)

Package: python3-x
Depends: python3:any (>= 3.13~)
"""


def test_relations_are_read_without_versions_and_architectures() -> None:
    found, wanted = relations(STATUS)
    assert found == {"bash", "debconf", "debconf-2.0", "dialog", "python3-x"}
    assert wanted == {
        "bash": [["libc6"], ["libtinfo6"], ["base-files"], ["debconf", "debconf-2.0"]],
        "debconf": [],
        "python3-x": [["python3"]],
    }


def test_a_paragraph_says_that_the_package_is_installed() -> None:
    control = {"Version": "1", "Package": "x", "Description": "one\ntwo\n.\nthree"}
    assert installed(control) == (
        "Package: x\nStatus: install ok installed\nVersion: 1\n"
        "Description: one\n two\n .\n three\n\n"
    )


def test_dpkg_has_a_list_and_sums_of_every_package() -> None:
    files = Files(aliases={"bin": "usr/bin"})
    for path in ("bin/x", "etc/x.conf"):
        files.put(path, text(path))
    files.put("usr/bin/y", link("x"))
    add_dpkg(files, STATUS, {"x:amd64": ["usr", "bin/x", "usr/bin/y", "etc/x.conf"]})
    info = "var/lib/dpkg/info"
    assert files.nodes["var/lib/dpkg/status"].data.decode() == STATUS
    assert files.nodes[f"{info}/format"].data == b"1\n"
    listed = files.nodes[f"{info}/x:amd64.list"].data.decode()
    assert listed == "/.\n/usr\n/bin/x\n/usr/bin/y\n/etc/x.conf\n"
    digest = hashlib.md5(b"bin/x", usedforsecurity=False).hexdigest()
    sums = files.nodes[f"{info}/x:amd64.md5sums"].data.decode()
    assert sums == f"{digest}  bin/x\n", "what may be edited, and links, have no sum"
