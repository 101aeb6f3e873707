"""What maintainer scripts of Debian's packages would have made, of which none is run for an image.

Each function looks at what a layer holds and adds what its packages' scripts would: so a layer without a
package gets nothing of it. What sessions of Backend.AI want beyond Debian says so.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from releasekit.deb822 import paragraphs
from releasekit.elf import parse_elf
from releasekit.image_files import Files, Node, folder, link, text
from releasekit.ld_cache import ld_cache

_FORWARD = {  # of one package: what its script copies, unless an administrator has it already
    "usr/share/base-files/dot.profile": "root/.profile",
    "usr/share/base-files/dot.bashrc": "root/.bashrc",
    "usr/share/base-files/profile": "etc/profile",
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/readline/inputrc": "etc/inputrc",
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
}
# Programs by their generic name, if the one that Debian would choose is there.
_ALTERNATIVES = {
    "usr/bin/awk": "usr/bin/mawk",
    "usr/bin/editor": "usr/bin/nano",
    "usr/bin/pager": "usr/bin/less",
    "usr/bin/which": "usr/bin/which.debianutils",
    "usr/sbin/rmt": "usr/sbin/rmt-tar",
    "usr/bin/python": "usr/bin/python3",  # as in every other image of Python
}
_BASE_FOLDERS = ("mnt", "srv", "opt", "media", "home/work", "usr/local/bin", "usr/local/lib")
_SHELLS = "usr/share/debianutils/shells"  # and a folder of packages' own, beside it
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_CERTIFICATES = "usr/share/ca-certificates/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_SHADOW = 42  # Debian's number of the group
# A session's start-up puts its user into this group (entrypoint.sh of backend.ai-kernel), and has no
# program to make it with where the package adduser is not.
_GROUP_OF_SESSIONS = "grpread:x:1002:\n"
_PAM = {
    "auth": "auth required pam_unix.so\n",
    "account": "account required pam_unix.so\n",
    "password": "password required pam_unix.so yescrypt\n",
    "session": "session required pam_unix.so\n",
    "session-noninteractive": "session required pam_unix.so\n",
}


def set_up(files: Files) -> None:
    """All that a layer gets but the loader's cache and dpkg's list, which need the layers below it."""
    for source, place in _FORWARD.items():
        if (node := files.nodes.get(source)) and place not in files.nodes:
            files.put(place, node)
    _shells(files)
    if "usr/share/base-files/profile" in files.nodes:
        _base(files)
    if "usr/share/base-passwd/passwd.master" in files.nodes:
        _accounts(files)
    if "usr/share/pam/common-auth" in files.nodes:
        for name, rule in _PAM.items():
            files.put(f"etc/pam.d/common-{name}", text(rule))
        files.put("etc/environment", text(""))
        files.put("etc/security/opasswd", text("", 0o600))
    if "usr/share/zoneinfo/Etc/UTC" in files.nodes:
        files.put("etc/localtime", link("/usr/share/zoneinfo/Etc/UTC"))
        files.put("etc/timezone", text("Etc/UTC\n"))
    _certificates(files)
    for name, program in _ALTERNATIVES.items():
        if program in files.nodes and name not in files.nodes:
            files.put(name, link(posixpath.basename(program)))


def _shells(files: Files) -> None:
    """Shells with which one may log in: sshd of a session lets in nobody whose own is not among them."""
    if _SHELLS in files.nodes and "etc/shells" not in files.nodes:
        found = [path for path in sorted(files.nodes) if path.startswith(f"{_SHELLS}.d/")]
        lists = (files.nodes[path].data for path in (_SHELLS, *found))
        files.put("etc/shells", Node("file", data=b"".join(lists)))


def _base(files: Files) -> None:
    for name in _BASE_FOLDERS:
        files.put(name, folder())
    files.put("run/lock", folder(0o1777))
    files.nodes["var/run"], files.nodes["var/lock"] = link("/run"), link("/run/lock")
    files.put("etc/dpkg/origins/default", link("debian"))


def _accounts(files: Files) -> None:
    """No account has a password, as after Debian's own installation of the package."""
    group = files.nodes["etc/group"].data.decode() + _GROUP_OF_SESSIONS
    files.put("etc/group", text(group))
    names = [line.split(":")[0] for line in files.nodes["etc/passwd"].data.decode().splitlines()]
    hidden = (0, _SHADOW)
    files.put(
        "etc/shadow",
        text("".join(f"{name}:*:18262:0:99999:7:::\n" for name in names), 0o640, hidden),
    )
    groups = [line.split(":")[0] for line in group.splitlines()]
    files.put("etc/gshadow", text("".join(f"{name}:*::\n" for name in groups), 0o640, hidden))
    for name in ("etc/subuid", "etc/subgid"):
        files.put(name, text(""))


def _certificates(files: Files) -> None:
    """The authorities that Debian trusts, in the one file that OpenSSL and its like read."""
    found = [path for path in sorted(files.nodes) if path.startswith(_CERTIFICATES)]
    certificates = [files.nodes[path] for path in found if path.endswith(".crt")]
    if certificates:
        files.put(_BUNDLE, Node("file", data=b"".join(node.data for node in certificates)))


def libraries(files: Files) -> dict[str, str]:
    """{name that programs ask for: path in the image} of the shared libraries of a layer."""
    found = {}
    for path, node in files.nodes.items():
        if posixpath.dirname(path) == _LIBRARIES and node.kind == "file" and ".so" in path:
            name = parse_elf(node.data, path).soname if node.data[:4] == b"\x7fELF" else ""
            if name:
                found[name] = f"/{path}"
    return found


def add_ld_cache(files: Files, known: Mapping[str, str]) -> None:
    """The loader's cache over the libraries of this layer and of those below."""
    files.put("etc/ld.so.cache", Node("file", data=ld_cache(known)))


def list_names(
    controls: Iterable[Mapping[str, str]], paths: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """The paths by the names under which dpkg keeps its lists of them."""
    found = {}
    for one in controls:
        name, shared = one["Package"], one.get("Multi-Arch") == "same"
        found[f"{name}:{one['Architecture']}" if shared else name] = paths[name]
    return found


def relations(status: str) -> tuple[set[str], dict[str, list[list[str]]]]:
    """Of dpkg's list: names of packages with what they provide, and {package: choices that it depends on}."""
    found: set[str] = set()
    wanted: dict[str, list[list[str]]] = {}
    for fields in paragraphs(status):
        name = fields["Package"]
        found |= {name, *_words(fields.get("Provides", ""))}
        needs = ", ".join(fields[key] for key in ("Pre-Depends", "Depends") if fields.get(key))
        wanted[name] = [_words(need.replace("|", ",")) for need in needs.split(",") if need.strip()]
    return found, wanted


def _words(relation: str) -> list[str]:
    """Names in a relation of packages, without versions and architectures."""
    names = (re.match(r"[a-z0-9][a-z0-9+.-]*", one.strip()) for one in relation.split(","))
    return [name[0] for name in names if name]


def add_dpkg(files: Files, status: str, paths: Mapping[str, list[str]]) -> None:
    """What dpkg, and whoever looks an image through for known faults, reads of its packages."""
    files.put("var/lib/dpkg/status", text(status))
    files.put("var/lib/dpkg/info/format", text("1\n"))  # lists are named NAME:ARCHITECTURE
    for name, placed in paths.items():
        lines = "".join(f"/{path}\n" for path in placed)
        files.put(f"var/lib/dpkg/info/{name}.list", text(f"/.\n{lines}"))
        files.put(f"var/lib/dpkg/info/{name}.md5sums", text("".join(_md5sums(files, placed))))


def _md5sums(files: Files, paths: Iterable[str]) -> Iterator[str]:
    """What dpkg compares files with; those of etc/ may be edited."""
    for path in paths:
        node = files.nodes[files.place(path)]
        if node.kind == "file" and not path.startswith("etc/"):
            yield f"{hashlib.md5(node.data, usedforsecurity=False).hexdigest()}  {path}\n"


def installed(control: Mapping[str, str]) -> str:
    """A package's paragraph in dpkg's list."""
    rows = {"Package": control["Package"], "Status": "install ok installed"}
    rows.update((key, value) for key, value in control.items() if key != "Package")
    lines = []
    for key, value in rows.items():
        first, *more = value.split("\n")
        lines += [f"{key}: {first}", *(f" {line.strip() or '.'}" for line in more)]
    return "\n".join(lines) + "\n\n"
