"""Paths, owners, modes and times of what the packages install; deb and rpm alike."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from payload import Member, Package
from unpacked import Unpacked

Packages = Mapping[str, Package]

# What only a deb has: overrides of lintian, and the changelog that an rpm keeps in its header.
DEB_ONLY = ("/usr/share/lintian/", "/changelog.Debian.gz")
OF_ZSH = ("/zsh/vendor-completions/", "/zsh/site-functions/")  # Debian's, and everybody else's


def shared_paths(packages: Packages) -> list[str]:
    counted = Counter(chain.from_iterable(p.paths("file", "link") for p in packages.values()))
    return sorted(path for path, times in counted.items() if times > 1)


# nfpm writes links into rpms without a mode; Linux gives every link 0777 whatever is asked for.
ALLOWED = {"file": (0o644, 0o755), "dir": (0o755,), "link": (0o777, 0)}


def wrong_members(package: Package, mtime: int) -> list[str]:
    wrong = []
    for path, member in package.members.items():
        if member.mode not in ALLOWED[member.kind]:
            wrong.append(f"{path}: mode {member.mode:o}")
        if member.owner != "root:root":
            wrong.append(f"{path}: owner {member.owner}")
        if member.mtime != mtime:
            wrong.append(f"{path}: time stamp {member.mtime}")
    return wrong


@pytest.fixture(scope="session")
def mtime(release: Mapping[str, Any]) -> int:
    stamp = release["release"]["date"].replace("Z", "+00:00")
    return int(datetime.fromisoformat(stamp).timestamp())


def test_no_path_is_in_two_debs(debs: Packages) -> None:
    assert shared_paths(debs) == []


def test_no_path_is_in_two_rpms(rpms: Packages) -> None:
    assert shared_paths(rpms) == []


def test_deb_belongs_to_root_is_readable_by_all_and_stamped_by_the_release(
    deb: Package, mtime: int
) -> None:
    assert wrong_members(deb, mtime) == []


def test_rpm_belongs_to_root_is_readable_by_all_and_stamped_by_the_release(
    rpm: Package, mtime: int
) -> None:
    assert wrong_members(rpm, mtime) == []


def test_deb_installs_only_where_it_may(deb: Package) -> None:
    places = (
        "/opt/backendai/",
        "/usr/bin/backend.ai",
        "/usr/bin/backendai-ctl",
        "/usr/sbin/mount.backendai-nfs",
        "/usr/lib/systemd/system/backendai",
        "/usr/lib/systemd/system/multi-user.target.wants/backendai-reconfigure.service",
        "/usr/lib/sysctl.d/",
        "/usr/lib/tmpfiles.d/",
        "/usr/share/bash-completion/completions/backendai-ctl",
        "/usr/share/man/man1/backendai-ctl.1.gz",
        "/usr/share/man/man5/backendai-site.toml.5.gz",
        "/usr/share/zsh/vendor-completions/_backendai-ctl",
        "/usr/share/backendai/",
        "/usr/share/doc/backendai-",
        "/usr/share/keyrings/backendai-archive-keyring.",
        "/usr/share/lintian/overrides/",
    )
    assert [p for p in deb.paths("file", "link") if not p.startswith(places)] == []


@pytest.mark.parametrize(("kind", "of_zsh"), [("debs", OF_ZSH[0]), ("rpms", OF_ZSH[1])])
def test_the_command_of_operators_has_its_manual_and_completion(
    kind: str, of_zsh: str, request: pytest.FixtureRequest
) -> None:
    shipped = request.getfixturevalue(kind)["backendai-ctl"].paths("file")
    assert {
        "/usr/share/bash-completion/completions/backendai-ctl",
        "/usr/share/man/man1/backendai-ctl.1.gz",
        "/usr/share/man/man5/backendai-site.toml.5.gz",
        f"/usr/share{of_zsh}_backendai-ctl",
    } <= set(shipped)


def test_every_deb_has_an_rpm_and_the_other_way_round(debs: Packages, rpms: Packages) -> None:
    assert sorted(debs) == sorted(rpms)


def test_deb_and_rpm_install_the_same_bytes(deb: Package, rpms: Packages) -> None:
    def comparable(members: Mapping[str, Member]) -> dict[str, tuple[object, ...]]:
        return {
            path.replace(*OF_ZSH): (member.kind, member.mode or 0o777, member.sha256, member.target)
            for path, member in members.items()
            if not any(part in path for part in DEB_ONLY)
        }

    ours = comparable(deb.paths("file", "link"))
    theirs = comparable(rpms[deb.name].paths("file", "link"))
    different = {path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path)}
    assert sorted(different) == []


def test_folders_of_the_product_are_owned_by_a_package(debs: Packages, rpms: Packages) -> None:
    for packages in (debs, rpms):
        owned = set(chain.from_iterable(p.paths("dir") for p in packages.values()))
        files = chain.from_iterable(p.paths("file", "link") for p in packages.values())
        folders = {path.rsplit("/", 1)[0] for path in files}
        assert sorted(f for f in folders - owned if f.startswith("/opt/")) == []


def test_no_file_names_a_path_of_the_build(unpacked: Unpacked) -> None:
    assert unpacked.leaks == []


def test_links_lead_to_files_of_the_packages(debs: Packages) -> None:
    paths = set(chain.from_iterable(p.members for p in debs.values()))
    links = {p: m.target for d in debs.values() for p, m in d.paths("link").items()}
    dangling = []
    for path, target in links.items():
        resolved = resolve(path, target, links)
        if resolved not in paths:
            dangling.append(f"{path} -> {target}")
    assert dangling == []


def resolve(path: str, target: str, links: Mapping[str, str]) -> str:
    """Where a link leads, through other links."""
    parts = (
        target.split("/") if target.startswith("/") else [*path.split("/")[:-1], *target.split("/")]
    )
    done: list[str] = []
    for number, part in enumerate(parts):
        if part == "..":
            done.pop()
        elif part not in ("", "."):
            done.append(part)
            here = "/" + "/".join(done)
            if here in links:
                rest = "/".join([links[here], *parts[number + 1 :]])
                return resolve(here, rest, links)
    return "/" + "/".join(done)


def test_release_lists_every_artefact_with_its_sha256(dist: Path) -> None:
    listed = json.loads((dist / "release.json").read_text("utf-8"))["artefacts"]
    there = {p.name: p for p in dist.iterdir() if p.name.endswith((".deb", ".rpm", ".pex"))}
    images = [path for path in (dist / "images").rglob("*") if path.is_file()]
    there.update({path.relative_to(dist).as_posix(): path for path in images})
    assert sorted(listed) == sorted(there)
    for name, path in there.items():
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        assert (digest, path.stat().st_size) == (listed[name]["sha256"], listed[name]["size"]), name
    sums = (dist / "SHA256SUMS").read_text("utf-8")
    assert sums == "".join(f"{listed[name]['sha256']}  {name}\n" for name in listed)
