"""A private apt: signed indexes of any Debian suite, without root and without the machine's state.

apt itself checks the signature of InRelease and the hashes of the indexes below it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path

from bootstrap.mirrors import Mirrors
from releasekit.deb822 import paragraphs
from releasekit.errors import Failure
from releasekit.files import remove_tree, write_atomic
from releasekit.locks import Deb

_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
# Hooks of the machine (package-kit, image cleaners) have no business with a private apt.
_NO_HOOKS = b"#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"


@dataclass(frozen=True)
class PrivateApt:
    """apt's state for one suite, kept in a folder of its own."""

    suite: str
    folder: Path
    mirrors: Mirrors

    def update(self) -> None:
        """Fetch the indexes of SUITE, SUITE-updates and SUITE-security, signatures checked."""
        remove_tree(self.folder)
        for name in ("lists/partial", "archives/partial", "etc"):
            (self.folder / name).mkdir(parents=True)
        keyring = find_keyring()
        lines = [
            f"deb [signed-by={keyring}] {base} {name} main\n"
            for base, name in (
                (self.mirrors.main, self.suite),
                (self.mirrors.main, f"{self.suite}-updates"),
                (self.mirrors.security, f"{self.suite}-security"),
            )
        ]
        write_atomic(self.folder / "sources.list", "".join(lines).encode())
        write_atomic(self.folder / "status", b"")
        write_atomic(self.folder / "apt.conf", _NO_HOOKS)
        done = self._run("apt-get", "update", "--error-on=any")
        if done.returncode != 0:
            detail = "\n".join(
                line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", "Err:"))
            )
            raise Failure(
                f"apt could not read the signed index of Debian {self.suite}:\n{detail}",
                hint="check the network, the proxy and BACKENDAI_DEBIAN_MIRROR",
            )

    def newest(self) -> dict[str, Deb]:
        """The newest version of every package, by name. Call `update` first."""
        found: dict[str, list[Deb]] = {}
        for line in self._targets():
            release, filename = line.split("|", 1)
            archive = "security" if release.endswith("-security") else "main"
            for name, deb in _packages(Path(filename), self.suite, archive):
                found.setdefault(name, []).append(deb)
        if not found:
            raise Failure(f"the index of Debian {self.suite} is empty", hint="try another mirror")
        return {name: _newest_of(debs) for name, debs in found.items()}

    def closure(self, names: Sequence[str]) -> list[str]:
        """The packages, and what they depend on, as apt would install them on an empty host; sorted.

        Recommended packages are left out. Failure for one that Debian lacks, or that fits no other.
        """
        argv = ["apt-get", "install", "--simulate", "--no-install-recommends", *names]
        done = self._run(*argv)
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}".strip()  # what fits no other is told on the first
            raise Failure(
                f"Debian {self.suite} cannot install {', '.join(names)}:\n{said[-800:]}",
                hint="correct `debian` in the BUILD file",
            )
        chosen = (line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst "))
        return sorted(name.partition(":")[0] for name in chosen)

    def _targets(self) -> list[str]:
        """The indexes as `RELEASE|PATH`."""
        done = self._run(
            "apt-get", "indextargets", "--format=$(RELEASE)|$(FILENAME)", "Created-By: Packages"
        )
        return done.stdout.splitlines()

    def _run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        folder = self.folder
        options = {
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": folder / "etc",
            "Dir::Etc::preferences": folder / "etc/none",
            "Dir::Etc::preferencesparts": folder / "etc",
            "Dir::State::status": folder / "status",
            "Dir::State::Lists": folder / "lists",
            "Dir::Cache": folder,
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "",
            "Debug::NoLocking": "true",
            "Acquire::GzipIndexes": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        flags = [f"-o{key}={value}" for key, value in options.items()]
        try:
            return subprocess.run(
                [argv[0], f"-c={folder / 'apt.conf'}", *flags, *argv[1:]],
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise Failure(
                f"{argv[0]} is not on this machine, it is needed to read Debian's signed index",
                hint="run on Debian or Ubuntu, or give the files in BACKENDAI_VENDOR",
            ) from None


def find_keyring() -> Path:
    """Debian's archive keys as shipped by debian-archive-keyring."""
    for path in _KEYRINGS:
        if path.is_file():
            return path
    raise Failure(
        f"Debian's archive keys are not here: {_KEYRINGS[0]} is missing",
        hint="install the package debian-archive-keyring",
    )


def _packages(path: Path, suite: str, archive: str) -> Iterator[tuple[str, Deb]]:
    """The binary packages of one `Packages` file; none where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return
    for fields in paragraphs(text):
        version = fields["Version"]
        source, _, rest = (fields.get("Source") or fields["Package"]).partition(" ")
        yield (
            fields["Package"],
            Deb(
                version=version,
                filename=fields["Filename"].rsplit("/", 1)[1],
                sha256=fields["SHA256"],
                size=int(fields["Size"]),
                suite=suite,
                archive=archive,
                path=fields["Filename"],
                source=f"{source} (= {rest.strip('()') or version})",
            ),
        )


def _newest_of(debs: list[Deb]) -> Deb:
    def order(a: Deb, b: Deb) -> int:
        return compare_versions(a.version, b.version)

    return max(debs, key=cmp_to_key(order))


def compare_versions(a: str, b: str) -> int:
    """Debian's order of versions (deb-version(7)): negative, zero or positive."""
    epoch_a, upstream_a, revision_a = _split_version(a)
    epoch_b, upstream_b, revision_b = _split_version(b)
    return (
        epoch_a - epoch_b
        or _compare_part(upstream_a, upstream_b)
        or _compare_part(revision_a, revision_b)
    )


def _split_version(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch), upstream, revision


def _compare_part(a: str, b: str) -> int:
    """Compare by turns a stretch of non-digits and one of digits; `~` sorts before the end."""
    left = re.findall(r"(\D*)(\d*)", a)
    right = re.findall(r"(\D*)(\d*)", b)
    for index in range(max(len(left), len(right))):
        word_a, number_a = left[index] if index < len(left) else ("", "")
        word_b, number_b = right[index] if index < len(right) else ("", "")
        if _order(word_a) != _order(word_b):
            return -1 if _order(word_a) < _order(word_b) else 1
        if int(number_a or 0) != int(number_b or 0):
            return int(number_a or 0) - int(number_b or 0)
    return 0


def _order(word: str) -> list[int]:
    # The end of the word is 0: "~" sorts before it, letters after, other signs after letters.
    signs = [-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in word]
    return [*signs, 0]
