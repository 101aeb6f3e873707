"""What the packages say of themselves: names, versions, relations, licences, changelog."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from license_expression import get_spdx_licensing
from payload import Package, output
from unpacked import SERVER_PACKAGES, Unpacked
from wheelhouse import canonical

from releasekit.model import UNKNOWN

Packages = Mapping[str, Package]
Release = Mapping[str, Any]

ROLES = {
    "backendai-all-in-one": (
        "agent appproxy-coordinator appproxy-tcp-worker appproxy-worker client gateway manager "
        "storage-proxy webserver"
    ),
    "backendai-management-node": (
        "appproxy-coordinator appproxy-tcp-worker appproxy-worker client gateway manager webserver"
    ),
    "backendai-edge-node": (
        "appproxy-coordinator appproxy-tcp-worker appproxy-worker gateway webserver"
    ),
    "backendai-compute-node": "agent",
    "backendai-storage-node": "storage-proxy",
}
# The servers whose programs a role needs.
ROLE_SERVERS = {
    "backendai-all-in-one": "postgresql valkey etcd registry prometheus node-exporter nfs",
    "backendai-management-node": "postgresql valkey etcd registry prometheus node-exporter",
    "backendai-edge-node": "postgresql node-exporter",
    "backendai-compute-node": "node-exporter nfs",
    "backendai-storage-node": "node-exporter nfs",
}
FURTHER = {"backendai-appproxy-tcp-worker": "backendai-appproxy-worker"}  # a unit, and no program
KEYRING = "backendai-archive-keyring"  # public keys: nothing that runs
# A Docker of the host will do, and keeps ours away.
ENGINE = "backendai-docker | docker.io | docker-ce | moby-engine"
ENGINE_RPM = "(backendai-docker or docker-ce or moby-engine)"
# What roles need of Debian itself; other packages need nothing of the host.
DEBIAN = {
    "backendai-all-in-one": ENGINE,
    "backendai-compute-node": ENGINE,
}
SERVICES = (
    *("agent", "appproxy-coordinator", "appproxy-tcp-worker", "appproxy-worker", "gateway"),
    *("manager", "storage-proxy", "webserver"),
    *("docker", "etcd", "node-exporter", "postgresql", "prometheus", "registry", "valkey"),
)
FORMAT = "https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"


@pytest.fixture(scope="session")
def version(release: Release) -> str:
    return f"{release['release']['version']}-{release['release']['revision']}"


def ours(requirements: list[str]) -> list[str]:
    found = (text for text in requirements if text.startswith("backendai-"))
    return sorted(text for text in found if text != ENGINE)


def test_deb_says_what_it_is(deb: Package, release: Release, version: str) -> None:
    facts, fields = release["release"], deb.fields
    role = deb.name in ROLES
    assert fields["Version"] == version
    assert fields["Architecture"] == ("all" if role or deb.name == KEYRING else "amd64")
    assert fields["Maintainer"] == facts["maintainer"]
    assert fields["Homepage"] == facts["homepage"]
    section = {KEYRING: "misc"}.get(deb.name, "admin")
    assert fields["Section"] == ("metapackages" if role else section)
    assert fields["Priority"] == "optional"
    summary, *rest = fields["Description"].splitlines()
    assert summary.startswith("Backend.AI") and len(summary) <= 80
    assert rest and max(map(len, rest)) <= 80


def test_rpm_says_what_it_is(rpm: Package, release: Release, version: str) -> None:
    facts, fields = release["release"], rpm.fields
    assert f"{fields['VERSION']}-{fields['RELEASE']}" == version
    assert fields["ARCH"] == ("noarch" if rpm.name in {*ROLES, KEYRING} else "x86_64")
    assert fields["PACKAGER"] == facts["maintainer"]
    assert fields["VENDOR"] == facts["vendor"]
    assert fields["URL"] == facts["homepage"]
    assert fields["SUMMARY"].startswith("Backend.AI")
    assert fields["SUMMARY"] not in fields["DESCRIPTION"] and fields["DESCRIPTION"]
    assert fields["GROUP"] not in ("", "(none)")


def test_rpm_does_not_tell_where_and_when_it_was_built(rpm: Package, release: Release) -> None:
    assert rpm.fields["BUILDHOST"] == "localhost"
    members = {member.mtime for member in rpm.members.values()}
    assert members <= {int(rpm.fields["BUILDTIME"])}


def test_deb_and_rpm_need_the_same_packages_of_ours_in_this_very_version(
    deb: Package, rpms: Packages, version: str
) -> None:
    debian = ours(deb.fields.get("Depends", "").split(", "))
    names = [text.split(" ")[0] for text in debian]
    assert debian == [f"{name} (= {version})" for name in names]
    rpm = rpms[deb.name].fields["REQUIRES"].splitlines()
    assert ours(rpm) == [f"{name} = {version}" for name in names]


def test_packages_need_no_package_of_the_host_but_what_roles_bring(deb: Package) -> None:
    needs = [text for text in deb.fields.get("Depends", "").split(", ") if text]
    foreign = [text for text in needs if text == ENGINE or not text.startswith("backendai-")]
    assert ", ".join(foreign) == DEBIAN.get(deb.name, "")


def test_rpms_need_no_package_of_the_host(rpm: Package) -> None:
    stated = rpm.fields["REQUIRES"].splitlines()
    assert (ENGINE_RPM in stated) == (rpm.name in DEBIAN)
    needs = [text.split(" ")[0] for text in stated if text != ENGINE_RPM]
    foreign = [name for name in needs if not name.startswith(("backendai-", "rpmlib(", "/bin/sh"))]
    assert foreign == []


@pytest.mark.parametrize("name", SERVICES)
def test_services_need_what_sets_them_up(debs: Packages, name: str) -> None:
    assert "backendai-ctl (= " in debs[f"backendai-{name}"].fields["Depends"]


def test_hosts_are_configured_once_at_the_end_of_a_transaction(
    debs: Packages, rpms: Packages, tmp_path: Path
) -> None:
    """By a trigger of dpkg that backendai-ctl waits for, and by %posttrans of rpm."""
    packages = [f"backendai-{name}" for name in SERVICES] + list(ROLES)
    for name in (*packages, "backendai-ctl"):
        control = tmp_path / name
        output(["dpkg-deb", "--control", str(debs[name].file), str(control)])
        kind = "interest" if name == "backendai-ctl" else "activate"
        assert (control / "triggers").read_text() == f"{kind}-noawait backendai-configure\n"
        query = ["rpm", "-qp", "--nosignature", "--qf", "%{POSTTRANS}", str(rpms[name].file)]
        assert "backendai-ctl hook triggered" in output(query)


def test_all_that_runs_needs_the_runtime_and_what_is_in_the_environment_common(
    deb: Package,
) -> None:
    if deb.name in {*ROLES, KEYRING, "backendai-runtime"}:
        return
    needs = deb.fields["Depends"]
    if deb.name in FURTHER:
        assert f"{FURTHER[deb.name]} (= " in needs
        return
    assert "backendai-runtime " in needs
    without = {"backendai-common", *SERVER_PACKAGES}
    assert ("backendai-common " in needs) == (deb.name not in without)


@pytest.mark.parametrize("role", ROLES)
def test_roles_need_their_components_and_servers_and_hold_no_program(
    debs: Packages, role: str
) -> None:
    needs = ours(debs[role].fields["Depends"].split(", "))
    names = [*ROLES[role].split(), *ROLE_SERVERS.get(role, "").split(), "ctl"]
    wanted = sorted(f"backendai-{name}" for name in names)
    assert [text.split(" ")[0] for text in needs] == wanted
    assert all(path.startswith("/usr/share/") for path in debs[role].paths("file"))


@pytest.mark.parametrize(
    "name", ["backendai-common", "backendai-agent", "backendai-client", "backendai-ctl"]
)
def test_maintainer_scripts_are_the_same_in_deb_and_rpm(
    debs: Packages, rpms: Packages, tmp_path: Path, name: str
) -> None:
    output(["dpkg-deb", "--control", str(debs[name].file), str(tmp_path)])
    tags = {"postinst": "POSTIN", "prerm": "PREUN", "postrm": "POSTUN"}
    for script, tag in tags.items():
        query = ["rpm", "-qp", "--nosignature", "--qf", f"%{{{tag}}}", str(rpms[name].file)]
        inside = output(query).replace("(none)", "")
        path = tmp_path / script
        assert inside == (path.read_text("utf-8").rstrip("\n") if path.exists() else ""), script


# --- licences ---


def stanzas(text: str) -> list[dict[str, str]]:
    """The paragraphs of a DEP-5 file; AssertionError where it is not one."""
    found = []
    for paragraph in text.strip("\n").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.split("\n"):
            if line.startswith(" "):
                assert name, f"continuation without a field: {line!r}"
                fields[name] += "\n" + line
                continue
            match = re.fullmatch(r"([A-Za-z-]+):[ \t]*(.*)", line)
            assert match, f"neither a field nor its continuation: {line!r}"
            name = match.group(1)
            assert name not in fields, f"{name} twice in one paragraph"
            fields[name] = match.group(2)
        found.append(fields)
    return found


def copyright_of(unpacked: Unpacked, package: str) -> list[dict[str, str]]:
    path = unpacked.root / "usr/share/doc" / package / "copyright"
    return stanzas(path.read_text("utf-8"))


def test_copyright_file_is_machine_readable(unpacked: Unpacked, deb: Package) -> None:
    header, own, *parts = copyright_of(unpacked, deb.name)
    assert header["Format"] == FORMAT
    assert own["Files"] == "*"
    for stanza in (own, *parts):
        assert stanza["Copyright"].strip() and stanza["License"].strip(), stanza["Files"]
        license = stanza["License"].split("\n")[0]
        assert unknown_terms(license) == [], stanza["Files"]
        assert license != UNKNOWN, f"{stanza['Files']}: read it for releasekit.read_licenses"


def words(expression: str) -> set[str]:
    """Licences and exceptions in an SPDX expression."""
    return set(re.findall(r"[^\s()]+", expression)) - {"AND", "OR", "WITH"}


def unknown_terms(expression: str) -> list[str]:
    """What SPDX does not know: the rest of the words are references to texts beside them."""
    found = get_spdx_licensing().unknown_license_keys(expression)
    return [key for key in found if not key.startswith("LicenseRef-")]


def test_every_bundled_distribution_is_in_the_copyright_file(
    unpacked: Unpacked, deb: Package
) -> None:
    listed = {stanza.get("Files", "") for stanza in copyright_of(unpacked, deb.name)}
    listed = {canonical(text) for text in listed}
    absent = []
    for info in unpacked.distributions(deb.name):
        metadata = (info / "METADATA").read_text("utf-8")
        name, version = re.findall(r"^(?:Name|Version): (.*)$", metadata, re.MULTILINE)[:2]
        name, version = (version, name) if re.match(r"\d", name) else (name, version)
        if canonical(f"{name}-{version}") not in listed:
            absent.append(info.name)
    assert absent == []


@pytest.mark.parametrize("package", ["backendai-runtime", *SERVER_PACKAGES])
def test_every_debian_package_that_one_of_ours_is_made_of_is_in_its_copyright_file(
    unpacked: Unpacked, package: str
) -> None:
    folder = unpacked.root / "usr/share/doc" / package
    rows = json.loads((folder / "debian-packages.json").read_text("utf-8"))
    listed = {stanza.get("Files", "") for stanza in copyright_of(unpacked, package)}
    wanted = {f"{row['package'].split('/')[-1]}-{row['version']}" for row in rows}
    assert rows and sorted(wanted - listed) == []


def test_texts_that_a_copyright_file_points_to_are_beside_it(
    unpacked: Unpacked, deb: Package
) -> None:
    folder = unpacked.root / "usr/share/doc" / deb.name
    text = (folder / "copyright").read_text("utf-8")
    for name in set(re.findall(r"is in (\S+) beside this file", text)):
        assert (folder / name).stat().st_size > 5_000, name


def test_license_of_an_rpm_is_spdx_and_covers_its_copyright_file(
    unpacked: Unpacked, rpm: Package
) -> None:
    said = rpm.fields["LICENSE"]
    assert unknown_terms(said) == []
    parts = (s["License"].split("\n")[0] for s in copyright_of(unpacked, rpm.name)[1:])
    assert sorted(set().union(*map(words, parts)) - {UNKNOWN} - words(said)) == []


def test_changelog_opens_with_this_version(
    unpacked: Unpacked, deb: Package, rpms: Packages, version: str, release: Release
) -> None:
    path = unpacked.root / "usr/share/doc" / deb.name / "changelog.Debian.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert text.startswith(f"{deb.name} ({version}) ")
    heading, note = rpms[deb.name].fields["CHANGELOG"].splitlines()[:2]
    assert heading == f"{release['release']['maintainer']} - {version}"
    assert note.strip()
