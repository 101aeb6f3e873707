"""Promise: whoever changes anything in a release is found out, by verify.sh and by apt, dnf and rpm.

Every row is one change. verify.sh is asked on three hosts, which check signatures by sqv (Debian 13),
gpgv (Debian 12) and gpg (EL-like); the package managers are asked without verify.sh before them. They
install a package that depends on nothing, so no refusal is about dependencies; the untouched release,
which all of them take, is the first row and the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import artefacts
import bundle_tamper as tamper
import bundles
import pytest
from bundle_tamper import PACKAGE, Row, Shop, add, both, flip, hard_linked, remove, swap, unlike
from scenario import Hosts

HOSTS = {  # its tools, and what checks signatures there
    "trixie": (tamper.Debian, "sqv"),
    "bookworm": (tamper.Debian, "gpgv"),
    "el9": (tamper.EnterpriseLinux, "gpg"),
}
DEB, RPM = f"apt/pool/**/{PACKAGE}_*.deb", f"rpm/packages/{PACKAGE}-*.rpm"
Answers = dict[tuple[int, str, str], tuple[bool, str]]  # row, tool, host -> as it must, words
OTHER_DEB, OTHER_RPM = "apt/pool/**/backendai-ctl_*.deb", "rpm/packages/backendai-ctl-*.rpm"
PACKAGES = "apt/dists/stable/main/binary-amd64/**/*"
CHANGED = "is not what was released: its sha256 differs"
BAD_SUM = "Hash Sum mismatch|unexpected size"
BAD_SIGNATURE = "BADSIG|Message has been manipulated|clearsigned file"
NO_KEY = "NO_PUBKEY|Missing key"
FORGED_ROW = "byte of MANIFEST"
FORGED = "MANIFEST.sig is not a valid signature of MANIFEST"


def changed(path: str) -> str:
    return f"{path} {CHANGED}"


UNTOUCHED = Row("untouched: accepted", lambda shop, root: None)
ROWS = (
    UNTOUCHED,
    Row("byte of a deb", flip(DEB), {"verify": changed(r"\.deb"), "apt": BAD_SUM}),
    Row(
        "byte of an rpm's payload",
        flip(RPM, 0.9),
        {
            "verify": changed(r"\.rpm"),
            "dnf": "incorrect checksum",
            "rpm": r"does not verify: Payload SHA256 digest: BAD",
        },
    ),
    Row("byte of Packages", flip(PACKAGES), {"verify": changed("Packages.*"), "apt": BAD_SUM}),
    Row(
        "byte of Release, no InRelease",
        both(flip("apt/dists/stable/Release"), remove("apt/dists/stable/InRelease")),
        {"verify": "InRelease is missing", "apt": BAD_SIGNATURE},
    ),
    Row("byte of Release", flip("apt/dists/stable/Release"), {"verify": changed("stable/Release")}),
    Row(
        "byte of InRelease",
        flip("apt/dists/stable/InRelease", 0.3),
        {"verify": changed("stable/InRelease"), "apt": BAD_SIGNATURE},
    ),
    Row(
        "no InRelease, no Release.gpg",
        both(remove("apt/dists/stable/InRelease"), remove("apt/dists/stable/Release.gpg")),
        {"verify": "InRelease is missing", "apt": "is not signed|no longer has a Release file"},
    ),
    Row(
        "byte of repomd.xml",
        flip("rpm/repodata/repomd.xml"),
        {"verify": changed("repomd.xml"), "dnf": "repomd.xml GPG signature verification error"},
    ),
    Row(
        "no repomd.xml.asc",
        remove("rpm/repodata/repomd.xml.asc"),
        {"verify": "repomd.xml.asc is missing", "dnf": "GPG signature is not available"},
    ),
    Row(
        "byte of primary",
        flip("rpm/repodata/*-primary.xml*"),
        {"verify": changed("primary.xml.*"), "dnf": "checksum doesn't match"},
    ),
    Row(FORGED_ROW, flip("MANIFEST"), {"verify": FORGED}),
    Row("byte of MANIFEST.sig", flip("MANIFEST.sig"), {"verify": FORGED}),
    Row("byte of RELEASE", flip("RELEASE"), {"verify": f"{CHANGED}|RELEASE"}),
    Row("byte of the SBOM", flip("sbom/release.cdx.json"), {"verify": changed("release.cdx.json")}),
    Row("byte of install.sh", flip("install.sh"), {"verify": changed("install.sh")}),
    Row("byte of a key", flip("keys/*.asc"), {"verify": changed("keyring.asc")}),
    Row("a file removed", remove("README"), {"verify": "README is missing"}),
    Row("a file added", add("lib/more.sh"), {"verify": "lib/more.sh does not belong"}),
    Row(
        "another package under a deb's name",
        unlike(DEB, OTHER_DEB),
        {"verify": changed(r"\.deb"), "apt": BAD_SUM},
    ),
    Row(
        "another package under an rpm's name",
        unlike(RPM, OTHER_RPM),
        {"verify": changed(r"\.rpm"), "dnf": "incorrect checksum|has incorrect size"},
    ),
    Row(
        "index of the newer release",
        swap("apt/dists/stable/*Release*"),
        {"verify": CHANGED, "apt": BAD_SUM},
    ),
    Row(
        "MANIFEST of the newer release",
        swap("MANIFEST", "MANIFEST.sig"),
        {"verify": f"is missing|{CHANGED}"},
    ),
    Row(
        "repositories signed by a stranger",
        tamper.resigned_repositories,
        {"verify": CHANGED, "apt": NO_KEY, "dnf": "repomd.xml GPG signature verification error"},
    ),
    Row("MANIFEST signed by a stranger", tamper.resigned_manifest, {"verify": FORGED}),
    Row(
        "all of it signed by a stranger",
        tamper.resigned_all,
        {"verify": "MANIFEST.sig is by the key .*, not by", "apt": NO_KEY},
    ),
    Row(
        "the same, no fingerprint given",
        tamper.resigned_all,
        {"verify": "this host trusts another key"},
        told=False,
    ),
    Row(
        "rpm without signature, index fits",
        tamper.unsigned_rpm,
        {
            "verify": "sha256 differs|is missing|does not belong",
            "dnf": "is not signed",
            "rpm": "does not verify: no signature",
        },
    ),
    Row(
        "rpm signed by a stranger, index fits",
        tamper.strangers_rpm,
        {
            "verify": "sha256 differs|is missing|does not belong",
            "dnf": "Public key for .* is not installed|not correct for this package",
            "rpm": "does not verify: .*NOKEY",
        },
    ),
    Row(
        "an older release",
        lambda shop, root: None,
        {"verify": "release number 1 is older than the newest seen on this host, 2"},
        seen=2,
    ),
    Row("untouched again: accepted", lambda shop, root: None),
)


@pytest.fixture(scope="module")
def shop(dist: artefacts.Dist, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Two small releases by one key, with one package of ours (the newer one has another besides)."""
    folder = tmp_path_factory.mktemp("releases")
    key, stranger = bundles.Key(folder), bundles.Key(folder, "Stranger <stranger@away.invalid>")
    extra = {"sbom/release.cdx.json": '{"bomFormat": "CycloneDX", "specVersion": "1.6"}\n'}
    try:
        old, new = (
            bundles.make(
                folder / str(number),
                dist,
                key,
                packages=packages,
                number=number,
                revision=str(number),
                extra=extra,
                rpms=True,
            )
            for number, packages in ((1, ("runtime",)), (2, ("runtime", "ctl")))
        )
        yield Shop(old, new, key, stranger)
    finally:
        key.stop()
        stranger.stop()


@pytest.fixture(scope="module")
def cases(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A changed copy for every row, in a folder of the row's number; and the trusted keys."""
    place = tmp_path_factory.mktemp("cases")
    place.chmod(0o755)  # apt reads it as another user
    for ending in ("gpg", "asc"):
        source = shop.release.folder / f"keys/backendai-archive-keyring.{ending}"
        (place / f"trusted.{ending}").write_bytes(source.read_bytes())
    for number, row in enumerate(ROWS):
        row.change(shop, hard_linked(shop.release.folder, place / str(number) / "bundle"))
    return place


def test_every_change_is_refused(
    hosts: Hosts, shop: Shop, cases: Path, show: Callable[[str], None]
) -> None:
    def on(suite: str) -> Answers:
        with hosts.boot(suite, binds={cases: tamper.CASES}, hostname=suite) as host:
            tools = HOSTS[suite][0](host, shop.release)
            return {
                (number, tool, suite): answer(tools, row, tool, f"{tamper.CASES}/{number}/bundle")
                for number, row in enumerate(ROWS)
                for tool in ("verify", *tools.names)
                if not row.says or tool in row.says
            }

    answers: Answers = {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for found in pool.map(on, HOSTS):
            answers.update(found)
    show(table(answers))
    assert [
        f"{ROWS[key[0]].what}: {key[1:]}: {said}"
        for key, (fine, said) in answers.items()
        if not fine
    ] == []
    forged = next(number for number, row in enumerate(ROWS) if row.what == FORGED_ROW)
    for suite, (_, verifier) in HOSTS.items():
        assert f"({verifier}: " in answers[forged, "verify", suite][1]
    asked = {(number, tool) for number, tool, _ in answers}
    assert {(n, tool) for n, row in enumerate(ROWS) for tool in row.says} <= asked


def answer(tools: tamper.Tools, row: Row, tool: str, folder: str) -> tuple[bool, str]:
    """Whether a tool did as it must, and its words in one line."""
    result, there = tools.verify(row, folder) if tool == "verify" else tools.ask(tool, folder)
    if there != (result.returncode == 0):
        return False, f"installed: {there}, but {result}"
    if not row.says:
        return there, "accepted" if there else str(result)
    lines = [line.strip() for line in (result.stdout + result.stderr).splitlines()]
    said = next((line for line in lines if re.search(row.says[tool], line)), "")
    return bool(said) and not there, said or str(result)


def table(answers: Answers) -> str:
    """A line for every change and tool: what it said, and on which hosts it did as it must."""
    lines = []
    for number, row in enumerate(ROWS):
        title = row.what
        for tool in ("verify", "apt", "dnf", "rpm"):
            found = {key[2]: value for key, value in answers.items() if key[:2] == (number, tool)}
            if found:
                hosts = " ".join(
                    f"{suite}{'' if fine else ' FAILS'}" for suite, (fine, _) in found.items()
                )
                said = next(iter(found.values()))[1].splitlines()[0]
                lines.append((title, tool.replace("verify", "verify.sh"), hosts, said[:110]))
                title = ""
    widths = [max(len(line[n]) for line in lines) for n in range(3)]
    return "\n".join(
        "  ".join(
            [*(word.ljust(width) for word, width in zip(line, widths, strict=False)), line[3]]
        )
        for line in lines
    )
